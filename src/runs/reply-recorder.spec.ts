import { describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../core/events/agent-event.js';
import { ReplyReducer } from '../core/events/reply-reducer.js';
import { ReplyRecorder } from './reply-recorder.js';

const base = { id: 'e', created_at: '2026-11-21T10:00:00.000Z', run_id: 'run', reply_id: 'reply' };

const call: AgentEvent = { type: 'MODEL_CALL_START', ...base, model_name: 'm' };
const hint = (block_id: string): AgentEvent => ({ type: 'HINT_BLOCK', ...base, block_id, hint: 'x', source: null });
const text = (block_id: string): AgentEvent[] => [
  { type: 'TEXT_BLOCK_START', ...base, block_id },
  { type: 'TEXT_BLOCK_DELTA', ...base, block_id, delta: 'said' },
  { type: 'TEXT_BLOCK_END', ...base, block_id },
];

function recording(
  reply = ReplyReducer.blank('reply', 'a'),
  recorded?: { steps: number; from: number; position: number },
) {
  const recorder = new ReplyRecorder(reply, 'run', recorded);
  return (...events: AgentEvent[]) => {
    for (const event of events) {
      reply.apply(event);
      recorder.see(event);
    }
    const current = recorder.current();
    recorder.recordedAs(current);
    return [current.step, current.data.content.map((block) => block.id)];
  };
}

describe('the steps of a reply', () => {
  it('are one for each turn that said something', () => {
    const see = recording();
    expect(see(call)).toEqual([0, []]);
    expect(see(call, ...text('a'))).toEqual([0, ['a']]);
    expect(see(call)).toEqual([1, []]);
    expect(see(call, ...text('b'))).toEqual([1, ['b']]);
  });

  it('hold a hint with the turn that hears it', () => {
    const see = recording();
    expect(see(hint('h1'))).toEqual([0, ['h1']]);
    expect(see(call, ...text('a'))).toEqual([0, ['h1', 'a']]);
    expect(see(hint('h2'))).toEqual([1, ['h2']]);
    expect(see(hint('h3'), call)).toEqual([1, ['h2', 'h3']]);
    expect(see(...text('b'))).toEqual([1, ['h2', 'h3', 'b']]);
  });

  it('hold it also when the turn takes several model calls', () => {
    const see = recording();
    expect(see(hint('h1'), call, hint('h2'), call)).toEqual([0, ['h1', 'h2']]);
    expect(see(call, ...text('a'))).toEqual([0, ['h1', 'h2', 'a']]);
    expect(see(call, hint('h3'), call, call, ...text('b'))).toEqual([1, ['h3', 'b']]);
  });

  it('are one for two turns when the first is not on record', () => {
    const see = recording();
    expect(see(call, ...text('a'), hint('h'), call, ...text('b'))).toEqual([0, ['a', 'h', 'b']]);
    expect(see(call, ...text('c'))).toEqual([1, ['c']]);
  });

  it('that are on record are left as they are when the reply goes on with a hint', () => {
    const reply = ReplyReducer.blank('reply', 'a');
    recording(reply)(call, ...text('a'));
    const see = recording(reply, { steps: 0, from: 0, position: 1 });
    expect(see(hint('h'), call, ...text('b'))).toEqual([1, ['h', 'b']]);
  });
});
