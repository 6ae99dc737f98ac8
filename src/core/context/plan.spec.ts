import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ContentBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { WindowContext } from '../state/session-state.js';
import { call, userMessage } from '../testing/event-builders.js';
import {
  atWork,
  conversations,
  hintBlock,
  pair,
  reply,
  textBlock,
  WordTokenizer,
  words,
} from '../testing/conversations.js';
import { isCutAhead, planCompression, type PlanLimits } from './plan.js';
import { TokenCounter } from './token-counter.js';
import { turnEnds, viewOf } from './window-view.js';

const EMPTY: WindowContext = { summary: '', from: null, compressions: 0, offloads: 0 };
const counter = new TokenCounter(new WordTokenizer());
const limits = (reserve: number, room = 1_000_000): PlanLimits => ({ reserve, room, min_gain: 1 });
const plan = (history: Msg[], own: Msg, with_: PlanLimits, window = EMPTY) =>
  planCompression(window, history, own, counter, with_);

const blocksOf = (messages: readonly Msg[]): ContentBlock[] => messages.flatMap(({ content }) => content);

describe('turnEnds', () => {
  it('are behind the results of a turn whose calls are all answered', () => {
    const [a, ra] = pair('a', 'x');
    const [b, rb] = pair('b', 'x');
    const of = (...blocks: (ContentBlock | undefined)[]) => turnEnds(blocks.filter((block) => block !== undefined));
    const text = textBlock('t', 'hi');
    expect(of(text, a, ra, text)).toEqual([3]);
    expect(of(a, b, ra, rb, text)).toEqual([4]);
    expect(of(a, b, ra, text, rb)).toEqual([5]);
    expect(of(a, hintBlock('h', 'x'), ra, hintBlock('i', 'x'))).toEqual([3]);
    expect(of(a, ra, b)).toEqual([2]);
    expect(of(text)).toEqual([]);
  });
});

describe('planCompression', () => {
  const history = [
    userMessage('u1', words(100)),
    reply('r1', [...pair('a', words(100)), textBlock('t', words(100))]),
    userMessage('u2', words(10)),
  ];

  it('keeps the newest that fits into the reserve', () => {
    const found = plan(history, atWork('r', []), limits(150));
    // The last words of r1 are a turn of their own.
    expect(found?.from).toEqual({ message_id: 'r1', block: 2 });
    expect(found?.compressed.map(({ id, content }) => [id, content.length])).toEqual([
      ['u1', 1],
      ['r1', 2],
    ]);
    expect(found?.request).toEqual([]);
  });

  it('cuts inside the reply at work, and says what it answers', () => {
    const own = atWork('r', [...pair('a', words(50)), ...pair('b', words(50)), ...pair('c', words(50))]);
    const found = plan(history, own, limits(150));
    expect(found?.from).toEqual({ message_id: 'r', block: 2 });
    expect(found?.request.map(({ id }) => id)).toEqual(['u2']);
  });

  it('keeps the newest turn beyond the reserve when there is room for it, and else lets it go', () => {
    const own = atWork('r', [...pair('a', words(50)), ...pair('b', words(500))]);
    expect(plan(history, own, limits(100, 1000))?.from).toEqual({ message_id: 'r', block: 2 });
    expect(plan(history, own, limits(100, 400))?.from).toEqual({ message_id: 'r', block: 4 });
  });

  it('quotes all messages that nobody answered yet when they are too large to stay', () => {
    const asked = [...history, userMessage('u3', words(900))];
    const found = plan(asked, atWork('r', []), limits(100, 400));
    expect(found?.from).toEqual({ message_id: 'r', block: 0 });
    expect(found?.request.map(({ id }) => id)).toEqual(['u2', 'u3']);
  });

  it('never lets a turn go that is still at work', () => {
    const own = atWork('r', [...pair('a', words(50)), call('b', { input: words(500), state: 'asking' })]);
    expect(plan(history, own, limits(10, 10))?.from).toEqual({ message_id: 'r', block: 2 });
  });

  it('is none when nothing or too little would go', () => {
    expect(plan([userMessage('u', words(50))], atWork('r', []), limits(100))).toBeNull();
    expect(plan(history, atWork('r', []), { reserve: 150, room: 0, min_gain: 10_000 })).toBeNull();
    expect(plan([], atWork('r', []), limits(10))).toBeNull();
  });

  it('never splits calls and results, loses nothing, and only goes forward', () => {
    let cuts = 0;
    fc.assert(
      fc.property(
        conversations,
        fc.array(fc.record({ reserve: fc.nat(200), room: fc.nat(200) }), { minLength: 1, maxLength: 3 }),
        (conversation, steps) => {
          const { history: said, reply: own } = conversation;
          let window = EMPTY;
          for (const { reserve, room } of steps) {
            const before = blocksOf(viewOf(window, said, own)).filter(({ id }) => !id.startsWith('context-summary'));
            const found = plan(said, own, { reserve, room, min_gain: 1 }, window);
            if (found === null) continue;
            cuts += 1;
            expect(isCutAhead(window, said, own, found.from)).toBe(true);
            window = { ...window, summary: 'S', from: found.from, compressions: window.compressions + 1 };
            const [summary, ...after] = viewOf(window, said, own);
            expect(summary?.id).toBe(`context-summary-${window.compressions}`);
            expect([...blocksOf(found.compressed), ...blocksOf(after)]).toEqual(before);
            for (const part of [blocksOf(found.compressed), blocksOf(after)]) {
              const ids = (type: ContentBlock['type']) => part.filter((it) => it.type === type).map(({ id }) => id);
              expect(ids('tool_call').sort()).toEqual(ids('tool_result').sort());
            }
            const answers = after.findIndex(({ id }) => id === 'u');
            expect(found.request.map(({ id }) => id)).toEqual(answers < 0 ? ['u'] : []);
          }
        },
      ),
    );
    expect(cuts).toBeGreaterThan(50);
  });
});

describe('isCutAhead', () => {
  it('refuses what would split a turn, what is not there, and what lies behind', () => {
    const history = [userMessage('u'), reply('r1', [...pair('a', 'x'), textBlock('t', 'x')]), userMessage('v')];
    const own = atWork('r', pair('b', 'x'));
    const ahead = (message_id: string, block: number, window = EMPTY) =>
      isCutAhead(window, history, own, { message_id, block });
    expect([ahead('r1', 0), ahead('r1', 2), ahead('v', 0), ahead('r', 0), ahead('r', 2)]).toEqual(Array(5).fill(true));
    expect([ahead('r1', 1), ahead('r', 1), ahead('r', 3), ahead('nobody', 0)]).toEqual(Array(4).fill(false));
    expect(ahead('r1', 2, { ...EMPTY, from: { message_id: 'v', block: 0 } })).toBe(false);
  });
});
