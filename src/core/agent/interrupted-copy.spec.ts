import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { expand } from '../events/expand.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import type { ContentBlock } from '../messages/block.js';
import { Msg } from '../messages/message.js';
import { userMessage } from '../testing/event-builders.js';
import { eventSequences } from '../testing/event-sequences.js';
import { INTERRUPTED_TEXT } from './closing.js';
import { interruptedCopy } from './interrupted-copy.js';

const AT = '2026-01-01T00:00:00.000Z';
const NOW = '2026-01-02T00:00:00.000Z';

const reply = (...content: ContentBlock[]): Msg => ({
  ...userMessage('r', '', AT),
  role: 'assistant',
  content,
  finished_at: null,
});

const call = (id: string, state: 'pending' | 'asking' | 'allowed' | 'submitted', finished_at: string | null = AT) => ({
  type: 'tool_call' as const,
  id,
  name: 'ls',
  input: '{}',
  state,
  suggested_rules: [],
  created_at: AT,
  finished_at,
});

const interrupted = (id: string) =>
  expect.objectContaining({
    type: 'tool_result',
    id,
    state: 'interrupted',
    created_at: NOW,
    finished_at: NOW,
    output: [expect.objectContaining({ type: 'text', text: INTERRUPTED_TEXT, finished_at: NOW })],
  });

describe('interruptedCopy', () => {
  it('closes open blocks and keeps what they hold', () => {
    const text = { type: 'text' as const, id: 't', text: 'Hel', created_at: AT, finished_at: null };
    const copy = interruptedCopy(reply(text), NOW);
    expect(copy).toMatchObject({ finished_at: NOW, finished_reason: 'interrupted', error: null });
    expect(copy.content).toEqual([{ ...text, finished_at: NOW }]);
  });

  it.each(['pending', 'asking', 'allowed', 'submitted'] as const)('gives a call that is %s a result', (state) => {
    const copy = interruptedCopy(reply(call('c', state)), NOW);
    expect(copy.content).toEqual([{ ...call('c', state), state: 'finished' }, interrupted('c')]);
  });

  it('ends a call in the middle of its input, and a result in the middle of its output', () => {
    const said = { type: 'text' as const, id: 'b-0', text: 'half', created_at: AT, finished_at: null };
    const running = { type: 'tool_result' as const, id: 'b', name: 'ls', output: [said], state: 'running' as const };
    const open = reply(
      call('b', 'pending'),
      { ...running, created_at: AT, finished_at: null },
      call('c', 'pending', null),
    );
    const [b, result, c, last] = interruptedCopy(open, NOW).content;
    expect([b, c]).toMatchObject([{ state: 'finished' }, { state: 'finished', finished_at: NOW }]);
    const output = [expect.objectContaining({ text: `half${INTERRUPTED_TEXT}`, finished_at: NOW })];
    expect(result).toMatchObject({ id: 'b', state: 'interrupted', finished_at: NOW, output });
    expect(last).toEqual(interrupted('c'));
  });

  it('gives back as they are what a user says and what has ended', () => {
    for (const message of [userMessage('u', 'hi', AT), { ...reply(), finished_at: AT }]) {
      expect(interruptedCopy(message, NOW)).toBe(message);
    }
  });

  it('makes of every transcript one that is at rest and folds back from its events', () => {
    fc.assert(
      fc.property(eventSequences(), (events) => {
        const transcript = reduce(events);
        const before = structuredClone(transcript);
        const copy = transcript.map((message) => interruptedCopy(message, NOW));
        expect(transcript).toEqual(before);
        const expanded = expand(copy, { session_id: 's' });
        checkGrammar(expanded, { complete: true });
        expect(reduce(expanded)).toEqual(copy);
        for (const [index, message] of copy.entries()) {
          Msg.parse(message);
          if (message.role !== 'assistant') continue;
          expect(message.finished_at).not.toBeNull();
          expect(message.content.map(({ id, type }) => [id, type]).slice(0, before[index]?.content.length)).toEqual(
            before[index]?.content.map(({ id, type }) => [id, type]),
          );
          if (before[index]?.finished_at !== null) continue;
          expect(message.content.filter((block) => block.finished_at === null)).toEqual([]);
          const ended = message.content.flatMap((block) =>
            block.type === 'tool_result' && block.state !== 'running' ? [block.id] : [],
          );
          const calls = message.content.flatMap((block) => (block.type === 'tool_call' ? [block] : []));
          expect(calls.map(({ id }) => id).sort()).toEqual(ended.sort());
          expect(calls.every(({ state }) => state === 'finished')).toBe(true);
        }
      }),
      { numRuns: 1000 },
    );
  });
});
