import { describe, expect, it } from '@jest/globals';
import { Toolkit } from '../core/agent/toolkit.js';
import { withApproval } from '../core/events/approval-note.js';
import { expand } from '../core/events/expand.js';
import { checkGrammar } from '../core/events/grammar.js';
import { ReplyReducer } from '../core/events/reply-reducer.js';
import type { ToolCallBlock } from '../core/messages/block.js';
import { at, call, toolResult } from '../core/testing/event-builders.js';
import { type MessageRow, toMessages, toStep } from '../sessions/transcript-rows.js';
import { reopen } from './recovery.js';

const run = { run_id: 'run', reply_id: 'reply' };

function rowsOf(...steps: MessageRow['data']['content'][]): MessageRow[] {
  const { msg } = ReplyReducer.blank('reply', 'agent');
  return steps.map((content, step) => ({ reply_id: 'reply', step, position: 1, data: toStep({ ...msg, content }) }));
}

const turnsOf = (rows: MessageRow[]) => reopen(rows, [], run, 'agent', new Toolkit()).turns;

describe('reopen', () => {
  it('counts the model turns that are on record', () => {
    const turn = [call('a'), toolResult('a')];
    expect(turnsOf([])).toBe(0);
    expect(turnsOf(rowsOf(turn))).toBe(1);
    expect(turnsOf(rowsOf(turn, [call('b')]))).toBe(2);
  });

  it('keeps decisions on record whose answers are gone', () => {
    const asked = (id: string, rest: Partial<ToolCallBlock>) =>
      call(id, { finished_at: at(1), metadata: withApproval(undefined, { id, cause: 'user', comment: id }), ...rest });
    const rows = rowsOf([
      asked('yes', { state: 'allowed', input: '{"a":1}' }),
      asked('no', { state: 'finished' }),
      asked('open', { state: 'asking' }),
    ]);
    const before = expand(toMessages(rows), { session_id: 's' });
    const { reply, rewound, known } = reopen(structuredClone(rows), [], run, 'agent', new Toolkit());
    for (const event of known) expect(reply.apply(event)).toBe(true);
    expect(reply.msg.content).toEqual(rows[0]?.data.content);
    checkGrammar([...before, ...(rewound ? [rewound] : []), ...known]);
  });

  it('does not answer a call whose outcome is unknown', () => {
    const started = { finished_at: at(1), state: 'allowed' as const, metadata: withApproval(undefined, { id: 'a' }) };
    const rows = rowsOf([call('c', started), toolResult('c', { state: 'running', output: [], finished_at: null })]);
    const confirmations = [
      { tool_call_id: 'c', confirmed: true, input: null, input_hash: '', rules: [], comment: null },
    ];
    const payload = { reply_id: 'reply', results: [], confirmations, hint: null, decided_by: 'a', cause: 'user' };
    const { known, unknown } = reopen(
      rows,
      [{ id: 's', run_id: 'run', kind: 'answer', payload }],
      run,
      'a',
      new Toolkit(),
    );
    expect([...unknown]).toEqual(['c']);
    expect(known.map(({ type }) => type)).toEqual(['TOOL_RESULT_START', 'TOOL_RESULT_TEXT_DELTA', 'TOOL_RESULT_END']);
  });

  it('does not count one that was handed over between two attempts', () => {
    expect(turnsOf(rowsOf([]))).toBe(0);
    expect(turnsOf(rowsOf([call('a'), toolResult('a')], []))).toBe(1);
    const at = '2026-11-21T10:00:00.000Z';
    const hint = { type: 'hint' as const, id: 'h', hint: 'By the way', source: null, created_at: at, finished_at: at };
    expect(turnsOf(rowsOf([call('a'), toolResult('a')], [hint]))).toBe(1);
    expect(turnsOf(rowsOf([call('a'), toolResult('a')], [hint, call('b')]))).toBe(2);
  });
});

describe('a transcript that is read between what is known and the next start of its reply', () => {
  it('goes on with that start', () => {
    const running = toolResult('a', { state: 'running', finished_at: null });
    const { reply, known } = reopen(rowsOf([call('a'), running]), [], run, 'agent', new Toolkit());
    for (const event of known) reply.apply(event);
    const next = { id: 'e', created_at: reply.msg.created_at, session_id: 's', reply_id: 'reply' };
    const start = { ...next, type: 'REPLY_START' as const, name: 'agent', role: 'assistant' as const };
    expect(known.map(({ type }) => type)).toContain('TOOL_RESULT_END');
    checkGrammar([...expand([reply.msg], { session_id: 's' }), start]);
  });
});
