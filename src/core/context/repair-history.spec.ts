import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { ContentBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { call, toolResult, userMessage } from '../testing/event-builders.js';
import { conversations, hintBlock, image, pair, reply, textBlock } from '../testing/conversations.js';
import { repairHistory } from './repair-history.js';

const thinking = (id: string, metadata?: Record<string, unknown>): ContentBlock => ({
  type: 'thinking',
  id,
  thinking: 'so',
  created_at: new Date(0).toISOString(),
  finished_at: new Date(0).toISOString(),
  ...(metadata && { metadata }),
});
const SIGNED = { provider_options: { anthropic: { signature: 's' } } };

/** Type and id of every block, `!` marking a result that was made up. */
const outline = (messages: readonly Msg[]): string[] =>
  messages.map(({ id, content }) =>
    [
      `${id}:`,
      ...content.map((block) => {
        const made = block.type === 'tool_result' && JSON.stringify(block.output).includes('was not completed');
        return `${block.type}=${block.id}${made ? '!' : ''}`;
      }),
    ].join(' '),
  );
const repaired = (...content: ContentBlock[]) => outline(repairHistory([reply('r', content)]));

describe('repairHistory', () => {
  it('leaves what is fine as it is, to the object', () => {
    const messages = [
      userMessage('u'),
      reply('r', [thinking('k', SIGNED), textBlock('t', 'hi'), ...pair('c', 'x'), hintBlock('h', 'x'), image('i')]),
      userMessage('v'),
    ];
    expect(repairHistory(messages)).toBe(messages);
  });

  it('drops what is empty and what no provider signed', () => {
    expect(repaired(textBlock('a', ' \n'), thinking('k'), thinking('l', {}), hintBlock('h', ''))).toEqual([]);
    expect(repaired(thinking('k'), textBlock('b', 'x'))).toEqual(['r: text=b']);
    expect(repairHistory([{ ...userMessage('u'), content: [] }])).toEqual([]);
  });

  it('gives a result to calls that have none, before their turn ends', () => {
    const [a, ra] = [call('a'), toolResult('a')];
    expect(repaired(a)).toEqual(['r: tool_call=a tool_result=a!']);
    expect(repaired(a, hintBlock('h', 'x'))).toEqual(['r: tool_call=a tool_result=a! hint=h']);
    expect(repaired(a, call('b'), ra, textBlock('t', 'x'))).toEqual([
      'r: tool_call=a tool_call=b tool_result=a tool_result=b! text=t',
    ]);
    expect(repaired(call('b'), a, ra, thinking('k', SIGNED), call('c'))).toEqual([
      'r: tool_call=b tool_call=a tool_result=a tool_result=b! thinking=k tool_call=c tool_result=c!',
    ]);
  });

  it('waits for a result that comes later', () => {
    const [a, ra] = [call('a'), toolResult('a')];
    expect(repaired(a, textBlock('t', 'x'), ra)).toEqual(['r: tool_call=a text=t tool_result=a']);
    expect(repaired(a, hintBlock('h', 'x'), ra)).toEqual(['r: tool_call=a hint=h tool_result=a']);
  });

  it('turns results without a call into text, files and all', () => {
    const output = [textBlock('o', 'found'), image('i')];
    const content = repairHistory([reply('r', [toolResult('a', { output }), call('a')])])[0]?.content ?? [];
    expect(content.map(({ type }) => type)).toEqual(['text', 'text', 'data', 'tool_call', 'tool_result']);
    expect(content[0]).toMatchObject({ text: 'Result of the tool tool:' });
    expect(repaired(call('a'), toolResult('a'), toolResult('a'))).toEqual(['r: tool_call=a tool_result=a text=a']);
  });

  it('ends results that are still running', () => {
    const [msg] = repairHistory([reply('r', [call('a'), toolResult('a', { state: 'running' })])]);
    expect(msg?.content[1]).toMatchObject({ id: 'a', state: 'interrupted' });
  });

  it('makes ids of calls unique over the whole conversation', () => {
    const messages = [reply('r', [...pair('a', 'x'), ...pair('a', 'y')]), reply('s', pair('a', 'z'))];
    expect(outline(repairHistory(messages))).toEqual([
      'r: tool_call=a tool_result=a tool_call=a-2 tool_result=a-2',
      's: tool_call=a-3 tool_result=a-3',
    ]);
  });

  it.each(['', '{"a": ', '[1]', 'null', '"text"'])('replaces the input %j of a call', (input) => {
    const [msg] = repairHistory([reply('r', [call('a', { input }), toolResult('a')])]);
    expect(msg?.content[0]).toMatchObject({ input: '{}' });
  });

  it('joins what users said in a row, and lets them call nothing', () => {
    const calling = { ...userMessage('w'), content: [call('a', { input: 'x' })] };
    const [msg, ...rest] = repairHistory([userMessage('u', 'one'), userMessage('v', 'two'), calling]);
    expect(rest).toEqual([]);
    expect(msg?.content).toMatchObject([{ text: 'one' }, { text: 'two' }, { text: 'Call of the tool tool: x' }]);
  });

  it('always makes complete pairs, keeps all words, and has nothing to do a second time', () => {
    const damage = fc.array(fc.record({ at: fc.nat(), kind: fc.constantFrom('drop', 'twice', 'move', 'empty') }), {
      maxLength: 8,
    });
    fc.assert(
      fc.property(conversations, damage, ({ history, reply: own }, damages) => {
        const messages = [...history, own].map((msg) => ({ ...msg, content: [...msg.content] }));
        for (const { at, kind } of damages) {
          const content = messages[at % messages.length]?.content ?? [];
          const index = at % Math.max(1, content.length);
          const [block] = content.slice(index, index + 1);
          if (block === undefined) continue;
          if (kind !== 'twice') content.splice(index, 1);
          if (kind === 'twice') content.splice(index, 0, structuredClone(block));
          if (kind === 'move') content.push(block);
          if (kind === 'empty') content.push(textBlock('e', ''));
        }
        const before = structuredClone(messages);
        const fixed = repairHistory(messages);
        expect(messages).toEqual(before);
        expect(repairHistory(fixed)).toBe(fixed);
        const calls = new Set<string>();
        for (const { content, role } of fixed) {
          expect(content.length).toBeGreaterThan(0);
          const open = new Set<string>();
          for (const block of content) {
            expect(block.type === 'text' && block.text === '').toBe(false);
            if (block.type === 'tool_call') {
              expect(role).toBe('assistant');
              expect(calls.has(block.id)).toBe(false);
              calls.add(block.id);
              open.add(block.id);
            }
            if (block.type === 'tool_result') expect(open.delete(block.id)).toBe(true);
          }
          expect(open.size).toBe(0);
        }
        expect(fixed.some(({ role }, index) => role === 'user' && fixed[index + 1]?.role === 'user')).toBe(false);
        const words = (all: readonly Msg[]) =>
          all
            .flatMap(({ content }) =>
              content.flatMap((block) => (block.type === 'tool_result' ? block.output : [block])),
            )
            .flatMap((block) => (block.type === 'text' ? (block.text.match(/\bword\b/g) ?? []) : [])).length;
        expect(words(fixed)).toBe(words(messages));
      }),
    );
  });
});
