import { describe, expect, it } from '@jest/globals';
import type { Msg } from '../messages/message.js';
import { EMPTY_STATE, type WindowContext } from '../state/session-state.js';
import { toolResult, userMessage } from '../testing/event-builders.js';
import {
  atWork,
  hintBlock,
  image,
  MemoryOffloads,
  pair,
  reply,
  textBlock,
  WordTokenizer,
  words,
} from '../testing/conversations.js';
import { ContextWindow, type WindowOptions } from './context-window.js';
import { TokenCounter } from './token-counter.js';

const EMPTY = EMPTY_STATE.window_context;

const windowOf = (rest: Partial<WindowOptions> = {}) =>
  new ContextWindow({
    context_size: 10_000,
    trigger_ratio: 0.8,
    reserve_ratio: 0.1,
    max_image_num: 2,
    counter: new TokenCounter(new WordTokenizer()),
    offload: null,
    ...rest,
  });

const withImages = (id: string, ...names: string[]): Msg => ({
  ...userMessage(id),
  content: names.map((name) => image(`${id}-${name}`, name)),
});

const textsOf = (view: readonly Msg[]): string[] =>
  view.flatMap(({ content }) => content.flatMap((block) => (block.type === 'text' ? [block.text] : [])));

describe('ContextWindow.view', () => {
  const history = [userMessage('u1'), reply('r1', pair('a', 'x')), userMessage('u2')];

  it('is the history itself when there is nothing to leave out', () => {
    expect(windowOf().view(EMPTY, history, atWork('r', []))).toBe(history);
  });

  it('ends with a snapshot of the reply, over the same blocks', () => {
    const own = atWork('r', pair('b', 'x'));
    const view = windowOf().view(EMPTY, history, own);
    own.content.push(textBlock('t', 'later'));
    expect(view.slice(0, 3).every((msg, index) => msg === history[index])).toBe(true);
    expect(view[3]?.content).toHaveLength(2);
    expect(view[3]?.content[0]).toBe(own.content[0]);
  });

  it('begins with the summary and what lies behind the cut', () => {
    const window: WindowContext = { ...EMPTY, summary: 'S', from: { message_id: 'r1', block: 1 }, compressions: 3 };
    const view = windowOf().view(window, history, atWork('r', []));
    expect(view.map(({ id, role }) => [id, role])).toEqual([
      ['context-summary-3', 'user'],
      ['r1', 'assistant'],
      ['u2', 'user'],
    ]);
    expect(view[1]?.content.map(({ type }) => type)).toEqual(['tool_result']);
    expect(textsOf(view.slice(0, 1))).toEqual(['S']);
    expect(view[2]).toBe(history[2]);
  });

  it('leaves out what is cut off whole, also of the reply', () => {
    const window: WindowContext = { ...EMPTY, summary: 'S', from: { message_id: 'r', block: 2 } };
    const own = atWork('r', pair('b', 'x'));
    expect(
      windowOf()
        .view(window, history, own)
        .map(({ id }) => id),
    ).toEqual(['context-summary-0']);
    own.content.push(textBlock('t', 'more'));
    expect(
      windowOf()
        .view(window, history, own)
        .map(({ id }) => id),
    ).toEqual(['context-summary-0', 'r']);
  });

  it('shows all that is loaded when the cut lies before it', () => {
    const window: WindowContext = { ...EMPTY, summary: 'S', from: { message_id: 'long ago', block: 4 } };
    expect(windowOf().view(window, history, atWork('r', []))).toHaveLength(4);
  });
});

describe('images', () => {
  it('are shown as long as they are few', () => {
    const history = [withImages('u1', 'a', 'b')];
    expect(windowOf().view(EMPTY, history, atWork('r', []))).toBe(history);
  });

  it('are replaced by words from the oldest on, wherever they stand', () => {
    const hint = { ...hintBlock('h', ''), hint: [image('h-i', 'hinted'), textBlock('h-t', 'see')] };
    const result = toolResult('c', { output: [image('c-i', 'made')] });
    const history = [withImages('u1', 'first'), reply('r1', [hint, result])];
    const own = atWork('r', [image('r-i', 'drawn')]);
    const window = windowOf();
    const view = window.view(EMPTY, history, own);
    const reminder = (name: string) =>
      `<system-reminder>An image (${name}) was left out to save room.</system-reminder>`;
    expect(textsOf(view)).toEqual([reminder('first')]);
    expect(view[1]?.content[0]).toMatchObject({ hint: [{ text: reminder('hinted') }, { text: 'see' }] });
    expect(view[1]?.content[1]).toBe(result);
    // What was replaced is the same object again, so that it is counted once.
    expect(window.view(EMPTY, history, own)[1]?.content[0]).toBe(view[1]?.content[0]);
    expect(history[0]?.content[0]?.type).toBe('data');
  });

  it('are put aside once, and the words say where they are', async () => {
    const offload = new MemoryOffloads();
    const window = windowOf({ offload });
    const history = [withImages('v1', 'a', 'b', 'c')];
    const own = atWork('r', []);
    expect(window.hidesImages(EMPTY, history, own)).toBe(true);
    expect(await window.offloadImages(EMPTY, history, own)).toBe(1);
    const [path = ''] = offload.items.keys();
    expect(textsOf(window.view(EMPTY, history, own))[0]).toContain(`It was put aside as ${path}.`);
    expect(window.hidesImages(EMPTY, history, own)).toBe(false);
    expect(windowOf({ offload }).hidesImages(EMPTY, history, own)).toBe(false);
  });

  it('that were refused are not tried again', async () => {
    const offload = new MemoryOffloads();
    offload.refusal = new Error('no room');
    const window = windowOf({ offload });
    const history = [withImages('w1', 'a', 'b', 'c')];
    await expect(window.offloadImages(EMPTY, history, atWork('r', []))).rejects.toThrow('no room');
    expect(window.hidesImages(EMPTY, history, atWork('r', []))).toBe(false);
  });
});

describe('the cost of a turn', () => {
  const CONTEXT = 10_000;

  /** A conversation of that many messages, each with a reply of some turns, as a session of many runs has it. */
  const talk = (messages: number): Msg[] =>
    Array.from({ length: messages / 2 }, (_, n) => [
      userMessage(`u${n}`, words(20)),
      reply(`r${n}`, [...pair(`c${n}`, words(60)), textBlock(`t${n}`, words(20))]),
    ]).flat();

  it('is bounded by the window, however long the conversation is', () => {
    const tokenizer = new WordTokenizer();
    const counter = new TokenCounter(tokenizer);
    const all = talk(2000);
    let state = EMPTY;
    let most = 0;
    let compressions = 0;
    for (let length = 2; length < all.length; length += 2) {
      // A window per run, over messages that the node still knows.
      const window = windowOf({ context_size: CONTEXT, counter });
      const history = all.slice(Math.max(0, length - 400), length + 1);
      const own = atWork('r', []);
      const { calls } = tokenizer;
      const view = window.view(state, history, own);
      if (window.isOver('Be kind.', [], view)) {
        const plan = window.plan(state, history, own, { system: 'Be kind.', tools: [] });
        if (plan !== null) {
          compressions += 1;
          state = { summary: words(50), from: plan.from, compressions, offloads: 0 };
        }
      }
      expect(window.counter.total('', [], window.view(state, history, own))).toBeLessThan(CONTEXT);
      most = Math.max(most, tokenizer.calls - calls);
    }
    expect(compressions).toBeGreaterThan(5);
    // All that can stand in the window has fewer texts than this.
    expect(most).toBeLessThan(CONTEXT / 20);
  });

  it('is one counted turn per turn of a long reply', () => {
    const tokenizer = new WordTokenizer();
    const window = windowOf({ counter: new TokenCounter(tokenizer) });
    const history = [userMessage('u', words(7000))];
    const own = atWork('r', []);
    expect(window.isOver('', [], window.view(EMPTY, history, own))).toBe(false);
    const { calls } = tokenizer;
    for (let turn = 0; turn < 20; turn += 1) {
      own.content.push(...pair(`c${turn}`, words(20)));
      expect(window.isOver('', [], window.view(EMPTY, history, own))).toBe(false);
    }
    expect(tokenizer.calls - calls).toBeLessThanOrEqual(20 * 3);
  });
});
