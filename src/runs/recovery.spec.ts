import { describe, expect, it } from '@jest/globals';
import { Toolkit } from '../core/agent/toolkit.js';
import { ReplyReducer } from '../core/events/reply-reducer.js';
import { call, toolResult } from '../core/testing/event-builders.js';
import { type MessageRow, toStep } from '../sessions/transcript-rows.js';
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

  it('does not count one that was handed over between two attempts', () => {
    expect(turnsOf(rowsOf([]))).toBe(0);
    expect(turnsOf(rowsOf([call('a'), toolResult('a')], []))).toBe(1);
    const at = '2026-11-21T10:00:00.000Z';
    const hint = { type: 'hint' as const, id: 'h', hint: 'By the way', source: null, created_at: at, finished_at: at };
    expect(turnsOf(rowsOf([call('a'), toolResult('a')], [hint]))).toBe(1);
    expect(turnsOf(rowsOf([call('a'), toolResult('a')], [hint, call('b')]))).toBe(2);
  });
});
