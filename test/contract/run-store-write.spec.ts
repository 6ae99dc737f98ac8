import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  alice,
  checkpointOf,
  finishOf,
  ids,
  input,
  LEASE_MS,
  lease,
  Ledger,
  modelCall,
  system,
} from './run-store-support.js';
import type { ToolCallEntry } from '../../src/runs/run.store.js';
import { newId } from '../../src/platform/ids.js';
import { toolResult } from '../../src/core/testing/event-builders.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

describe('finish', () => {
  it('gives the lease back when nothing waits, and puts the end on record', async () => {
    const { session, run, held } = await ledger.working();
    const usage = {
      input_tokens: 3,
      output_tokens: 4,
      cache_input_tokens: 0,
      cache_creation_input_tokens: 0,
      reasoning_tokens: 1,
    };
    const end = finishOf(run, 9, { usage, ...checkpointOf(run, 9, { position: 2 }) });
    expect(await ledger.store.finish(held, end)).toEqual({ outcome: 'released' });
    const free = { lease_owner: null, lease_run_id: null, lease_expires_at: null, last_seq: 9, lease_token: 1 };
    expect(await ledger.row(session)).toMatchObject(free);
    const done = { status: 'completed', usage, error: null, ending: end.ending, finished_at: expect.any(Date) };
    expect(await ledger.run(run.run_id)).toMatchObject(done);
    expect(ids(await ledger.transcript(session))).toEqual([run.messages[0]?.id, run.reply_id]);
    expect(await ledger.sessions.get(alice, session)).toMatchObject({ is_running: false, last_seq: 9 });
  });

  it('keeps the lease when there is more, and next gives it', async () => {
    const { session, run, held } = await ledger.working();
    const second = input(session, 'b', 'c');
    await ledger.accept(second);
    expect(await ledger.store.finish(held, finishOf(run, 9))).toEqual({ outcome: 'pending' });
    const next = await ledger.store.next(held);
    expect(next).toMatchObject({ kind: 'next', last_seq: 11, committed_seq: 9, signals: [] });
    expect(next?.run).toMatchObject({ run_id: second.run_id, reply_id: second.reply_id, attempt: 1, last_seq: 11 });
    expect(next?.run?.messages).toEqual(second.messages);
    expect(await ledger.row(session)).toMatchObject({ pending: 0, reply_seq: 9, last_seq: 11, lease_token: 1 });
  });

  it('repeated after a lost answer says what came of it', async () => {
    const { session, run, held } = await ledger.working();
    const end = finishOf(run, 5);
    expect(await ledger.store.finish(held, end)).toEqual({ outcome: 'released' });
    expect(await ledger.store.finish(held, end)).toEqual({ outcome: 'released' });
    const second = input(session, 'b');
    await ledger.accept(second);
    await ledger.accept(input(session, 'c'));
    expect(await ledger.store.finish(held, end)).toEqual({ outcome: 'released' });
    const held2 = lease(session, 2);
    const end2 = finishOf(second, 12);
    expect(await ledger.store.finish(held2, end2)).toEqual({ outcome: 'pending' });
    expect(await ledger.store.finish(held2, end2)).toEqual({ outcome: 'pending' });
    expect(await ledger.statuses(session)).toEqual(['completed', 'completed', 'queued']);
    expect(await ledger.row(session)).toMatchObject({ pending: 1, last_seq: 12 });
  });

  it('puts model calls on record once, also when a write is repeated or a stop came first', async () => {
    const { session, run, held } = await ledger.working();
    const [first, second] = [
      modelCall({ cost: '0.000000000001', currency: 'USD' }),
      modelCall({ outcome: 'failed', error_type: 'upstream' }),
    ];
    const step = checkpointOf(run, 5, { calls: [first] });
    await ledger.store.checkpoint(held, step);
    await ledger.store.checkpoint(held, step);
    await ledger.store.requestStop(alice, session, 'interrupt');
    const end = finishOf(run, 9, { calls: [second] });
    expect(await ledger.store.finish(held, end)).toMatchObject({ outcome: 'stopped' });
    expect(await ledger.calls(run.run_id)).toHaveLength(1);
    const stopped = { ...end, status: 'interrupted' as const };
    await ledger.store.finish(held, stopped);
    await ledger.store.finish(held, stopped);
    const names = { session_id: session, run_id: run.run_id, reply_id: run.reply_id, rolled: false };
    expect(await ledger.calls(run.run_id)).toEqual(
      [first, second].map(({ started_at: _, ended_at: __, ...call }) => expect.objectContaining({ ...call, ...names })),
    );
  });

  it('of a fenced holder leaves no model calls', async () => {
    const { run, held } = await ledger.working();
    const late = { ...held, token: held.token - 1 };
    await ledger.store.checkpoint(late, checkpointOf(run, 5, { calls: [modelCall()] }));
    expect(await ledger.calls(run.run_id)).toEqual([]);
  });

  it('keeps why a run failed', async () => {
    const { run, held } = await ledger.working();
    const error = { type: 'upstream' as const, message: 'away' };
    await ledger.store.finish(held, finishOf(run, 5, { status: 'failed', error }));
    expect(await ledger.run(run.run_id)).toMatchObject({ status: 'failed', error });
  });
});

describe('next', () => {
  it('asked again gives the same run with its messages', async () => {
    const { session, run, held } = await ledger.working();
    const second = input(session, 'b', 'c');
    await ledger.accept(second);
    await ledger.accept(input(session, 'd'));
    await ledger.store.finish(held, finishOf(run, 5));
    const first = await ledger.store.next(held);
    const again = await ledger.store.next(held);
    expect(again).toMatchObject({ kind: 'next', last_seq: 7, run: first!.run });
    expect(ids(again?.run?.messages ?? [])).toEqual(ids(second.messages));
    expect(await ledger.row(session)).toMatchObject({ pending: 1, last_seq: 7, reply_seq: 5 });
    expect(await ledger.run(second.run_id)).toMatchObject({ attempt: 1 });
  });

  it('is idle when there is nothing, and the session can be released', async () => {
    const { session, run, held } = await ledger.working();
    const second = input(session, 'b');
    await ledger.accept(second);
    await ledger.store.finish(held, finishOf(run, 5));
    await ledger.stop(session);
    const work = await ledger.store.next(held);
    expect(work).toMatchObject({ kind: 'idle', run: null, last_seq: 5, signals: [{ kind: 'notice' }] });
    const said = work?.signals.map((signal) => signal.id) ?? [];
    expect(await ledger.store.release(held, 6, said)).toEqual({ outcome: 'released' });
    expect(await ledger.store.release(held, 6, said)).toEqual({ outcome: 'fenced' });
    expect(await ledger.store.next(held)).toBeNull();
  });
});

describe('a holder whose lease went to a later one', () => {
  it('writes nothing', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.expire(session);
    const claim = await ledger.claimOf(session);
    const before = await ledger.row(session);
    const tools = [{ tool_call_id: 'c', name: 't', state: 'started' as const, result: null }];
    expect(await ledger.store.checkpoint(held, checkpointOf(run, 3, { tools }))).toEqual({ outcome: 'fenced' });
    expect(await ledger.store.finish(held, finishOf(run, 3))).toEqual({ outcome: 'fenced' });
    expect(await ledger.store.handOver(held, run.run_id, 3)).toBe(false);
    expect(await ledger.store.release(held, 3, [])).toEqual({ outcome: 'fenced' });
    expect(await ledger.store.next(held)).toBeNull();
    expect(await ledger.store.renew(system, [held], LEASE_MS)).toEqual([]);
    expect(await ledger.row(session)).toEqual(before);
    expect(await ledger.transcript(session)).toHaveLength(1);
    expect(await ledger.sql('SELECT 1 FROM tool_calls')).toEqual([]);
    expect(await ledger.store.finish(claim!.lease, finishOf(run, claim!.last_seq + 2))).toEqual({
      outcome: 'released',
    });
  });

  it('of another owner with the same token neither', async () => {
    const { session, run } = await ledger.working();
    const forged = lease(session, 1, 'n2');
    expect(await ledger.store.finish(forged, finishOf(run, 3))).toEqual({ outcome: 'fenced' });
    expect(await ledger.store.next(forged)).toBeNull();
  });

  it('nor in a deleted session, which does not come back', async () => {
    const { session, run, held } = await ledger.working();
    const ref = { tenant_id: 'acme', session_id: session };
    expect(await ledger.store.exists(ref)).toBe(true);
    await ledger.sessions.delete(alice, { id: session });
    expect(await ledger.store.checkpoint(held, checkpointOf(run, 3))).toEqual({ outcome: 'fenced' });
    expect(await ledger.store.finish(held, finishOf(run, 3))).toEqual({ outcome: 'fenced' });
    expect(await ledger.store.exists(ref)).toBe(false);
    while ((await ledger.sessions.purge(system, 100)) > 0);
    expect(await ledger.statuses(session)).toEqual([]);
  });
});

describe('checkpoint', () => {
  it('puts steps on record, the newest again as it grows', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.checkpoint(held, checkpointOf(run, 3, { position: 2, said: 'one' }));
    await ledger.store.checkpoint(held, checkpointOf(run, 4, { position: 2, said: 'one more' }));
    await ledger.store.checkpoint(held, checkpointOf(run, 6, { position: 2, said: 'two', step: 1 }));
    expect(await ledger.row(session)).toMatchObject({ last_seq: 6, lease_run_id: run.run_id, lease_owner: 'n1' });
    const steps = await ledger.store.steps(held, run.reply_id);
    expect(steps.map(({ step, position }) => [step, position])).toEqual([
      [0, 2],
      [1, 2],
    ]);
    const [, reply] = await ledger.transcript(session);
    expect(reply?.content).toMatchObject([{ text: 'one more' }, { text: 'two' }]);
    expect(await ledger.sessions.messages(alice, session, 10)).toMatchObject({ as_of_seq: 6, is_running: true });
  });

  it('keeps the ledger of tool calls', async () => {
    const { session, run, held } = await ledger.working();
    const entry = (id: string, state: ToolCallEntry['state'], isDone = false): ToolCallEntry => ({
      tool_call_id: id,
      name: 'tool',
      state,
      result: isDone ? toolResult(id) : null,
    });
    const started = [entry('c1', 'started'), entry('c2', 'started'), entry('c3', 'started')];
    await ledger.store.checkpoint(held, checkpointOf(run, 3, { tools: started }));
    await ledger.store.checkpoint(held, checkpointOf(run, 4, { tools: [entry('c1', 'settled', true)] }));
    await ledger.store.checkpoint(held, checkpointOf(run, 5, { tools: [entry('c2', 'unknown', true)] }));
    const rows = await ledger.sql('SELECT * FROM tool_calls WHERE session_id = $1 ORDER BY tool_call_id', [session]);
    expect(rows).toMatchObject([
      { tool_call_id: 'c1', run_id: run.run_id, name: 'tool', state: 'settled', settled_at: expect.any(Date) },
      { tool_call_id: 'c2', state: 'unknown', settled_at: expect.any(Date) },
      { tool_call_id: 'c3', state: 'started', settled_at: null, result: null },
    ]);
    expect(rows[0]?.result).toEqual(toolResult('c1'));
  });

  it('is done with the signals it has made events of', async () => {
    const { session, run } = await ledger.parked('c1');
    await ledger.answer(session, run, 'c1');
    const claim = (await ledger.claimOf(session))!;
    const consumed = claim.signals.map((signal) => signal.id);
    await ledger.store.checkpoint(claim.lease, checkpointOf(run, 7, { consumed: [...consumed, newId()] }));
    expect(await ledger.row(session)).toMatchObject({ signals: 0 });
    expect(await ledger.inputs(session)).toEqual([]);
    const end = finishOf(run, 9, { consumed });
    expect(await ledger.store.finish(claim.lease, end)).toEqual({ outcome: 'released' });
    expect(await ledger.row(session)).toMatchObject({ signals: 0 });
  });

  it('fails alone when the database does not take what it holds', async () => {
    const all = await Promise.all(Array.from({ length: 6 }, () => ledger.working()));
    const writes = all.map(({ run, held }, n) =>
      ledger.store.checkpoint(held, checkpointOf(run, 3, { said: n === 2 ? 'a\u0000b' : 'fine' })),
    );
    const settled = await Promise.allSettled(writes);
    expect(settled.map((it) => it.status)).toEqual([
      'fulfilled',
      'fulfilled',
      'rejected',
      'fulfilled',
      'fulfilled',
      'fulfilled',
    ]);
    for (const [n, { session }] of all.entries()) {
      expect(await ledger.row(session)).toMatchObject({ last_seq: n === 2 ? 1 : 3 });
    }
  });
});
