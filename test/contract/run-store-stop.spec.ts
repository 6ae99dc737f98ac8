import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { alice, checkpointOf, finishOf, input, LEASE_MS, lease, Ledger, system } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

const NOTHING = { run_id: null, status: null, cancelled: [] };

describe('requestStop', () => {
  it('is a no-op for an idle or unknown session', async () => {
    const session = await ledger.newSession();
    expect(await ledger.stop(session)).toEqual(NOTHING);
    expect(await ledger.stop(randomUUID())).toEqual(NOTHING);
    expect(await ledger.row(session)).toMatchObject({ signals: 0, stop_run_id: null });
    expect((await ledger.accept(input(session, 'a'))).outcome).toBe('taken');
  });

  it('marks the run at work and says who asked first', async () => {
    const { session, run, held } = await ledger.working();
    expect(await ledger.stop(session)).toEqual({ run_id: run.run_id, status: 'running', cancelled: [] });
    const first = await ledger.run(run.run_id);
    expect(first).toMatchObject({ status: 'running', stop_requested_by: 'alice', stop_mode: 'interrupt' });
    const stop = { tenant_id: 'acme', session_id: session, stop_run_id: run.run_id };
    expect(await ledger.store.stops(system, [held])).toEqual([{ ...stop, stop_mode: 'interrupt' }]);
    await ledger.stop(session, 'rollback');
    expect(await ledger.store.stops(system, [held])).toEqual([{ ...stop, stop_mode: 'rollback' }]);
    await ledger.stop(session, 'interrupt');
    expect(await ledger.store.stops(system, [held])).toEqual([{ ...stop, stop_mode: 'rollback' }]);
    const last = await ledger.run(run.run_id);
    expect(last).toMatchObject({ stop_mode: 'rollback', stop_requested_at: first.stop_requested_at });
    expect(await ledger.inputs(session)).toEqual([]);
  });

  it('cancels what is queued: its messages are gone and its followers are told', async () => {
    const { session, run } = await ledger.working();
    const [second, third] = [input(session, 'b'), input(session, 'c')];
    for (const it of [second, third]) await ledger.accept(it);
    const stopped = await ledger.stop(session);
    expect(stopped).toMatchObject({ run_id: run.run_id, status: 'running' });
    expect(new Set(stopped.cancelled)).toEqual(new Set([second.run_id, third.run_id]));
    expect(await ledger.statuses(session)).toEqual(['running', 'cancelled', 'cancelled']);
    expect(await ledger.row(session)).toMatchObject({ pending: 0, signals: 2 });
    const notices = await ledger.inputs(session);
    const payloads = [second, third].map(({ run_id }) => ({ name: 'run_cancelled', value: { run_id, by: 'alice' } }));
    expect(notices.map((it) => [it.kind, it.payload])).toEqual(payloads.map((it) => ['notice', it]));
    expect(await ledger.run(second.run_id)).toMatchObject({ finished_at: expect.any(Date), started_at: null });
    expect(await ledger.transcript(session)).toHaveLength(1);
    // The id of a cancelled message is free again: it never entered the transcript.
    expect((await ledger.accept({ ...input(session), messages: second.messages })).outcome).toBe('queued');
  });

  it('of what nobody holds leaves a claim for the notices alone', async () => {
    const session = await ledger.newSession();
    const first = input(session, 'a');
    await ledger.queue(first);
    expect(await ledger.stop(session)).toEqual({ ...NOTHING, cancelled: [first.run_id] });
    expect((await ledger.accept(input(session, 'b'))).outcome).toBe('queued');
    await ledger.stop(session);
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({ kind: 'idle', run: null, last_seq: 0 });
    expect(claim?.signals.map((signal) => signal.kind)).toEqual(['notice', 'notice']);
    const said = claim?.signals.map((signal) => signal.id) ?? [];
    expect(await ledger.store.release(claim!.lease, 2, said.slice(0, 1))).toEqual({ outcome: 'pending' });
    expect(await ledger.store.release(claim!.lease, 2, said.slice(1))).toEqual({ outcome: 'released' });
    expect(await ledger.row(session)).toMatchObject({ signals: 0, last_seq: 2, lease_owner: null });
    expect(await ledger.claimOf(session)).toBeUndefined();
  });

  it('of one queued run touches only that', async () => {
    const { session, run, held } = await ledger.working();
    const [second, third] = [input(session, 'b'), input(session, 'c')];
    for (const it of [second, third]) await ledger.accept(it);
    expect(await ledger.stop(session, 'interrupt', second.run_id)).toEqual({ ...NOTHING, cancelled: [second.run_id] });
    expect(await ledger.statuses(session)).toEqual(['running', 'cancelled', 'queued']);
    expect(await ledger.row(session)).toMatchObject({ pending: 1, signals: 1, stop_run_id: null });
    expect(await ledger.run(run.run_id)).toMatchObject({ stop_mode: null });
    expect(await ledger.store.finish(held, finishOf(run, 5))).toEqual({ outcome: 'pending' });
    expect(await ledger.store.next(held)).toMatchObject({ kind: 'next', run: { run_id: third.run_id } });
  });

  it('of the run at work leaves the queue alone', async () => {
    const { session, run } = await ledger.working();
    await ledger.accept(input(session, 'b'));
    const stopped = { run_id: run.run_id, status: 'running', cancelled: [] };
    expect(await ledger.stop(session, 'interrupt', run.run_id)).toEqual(stopped);
    expect(await ledger.statuses(session)).toEqual(['running', 'queued']);
    expect(await ledger.row(session)).toMatchObject({ pending: 1, signals: 0, stop_run_id: run.run_id });
  });

  it('of a run that is over, or of another session, stops nothing', async () => {
    const { session, run, held } = await ledger.working();
    const { session: other, run: foreign } = await ledger.working();
    await ledger.store.finish(held, finishOf(run, 5));
    const second = input(session, 'b');
    await ledger.accept(second);
    expect(await ledger.stop(session, 'interrupt', run.run_id)).toEqual(NOTHING);
    expect(await ledger.stop(session, 'interrupt', foreign.run_id)).toEqual(NOTHING);
    expect(await ledger.row(session)).toMatchObject({ stop_run_id: null });
    expect(await ledger.row(other)).toMatchObject({ stop_run_id: null });
  });

  it('of a run that was handed over reaches who takes it', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.handOver(held, run.run_id, 3);
    expect(await ledger.stop(session)).toMatchObject({ run_id: run.run_id, status: 'running' });
    expect(await ledger.claimOf(session)).toMatchObject({ kind: 'handed_over', run: { stop: 'interrupt' } });
    expect(await ledger.store.stops(system, [lease(session, 2, 'n9')])).toHaveLength(1);
  });
});

describe('the end of a run that was asked to stop', () => {
  it('is not completed: it says how, and the interrupted one is taken', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.stop(session);
    expect(await ledger.store.finish(held, finishOf(run, 5))).toEqual({ outcome: 'stopped', mode: 'interrupt' });
    expect(await ledger.row(session)).toMatchObject({ last_seq: 1, lease_run_id: run.run_id });
    expect(await ledger.transcript(session)).toHaveLength(1);
    const end = finishOf(run, 5, { status: 'interrupted' });
    expect(await ledger.store.finish(held, end)).toEqual({ outcome: 'released' });
    expect(await ledger.statuses(session)).toEqual(['interrupted']);
    expect(await ledger.row(session)).toMatchObject({ stop_run_id: null, stop_mode: null, lease_owner: null });
    expect(await ledger.transcript(session)).toHaveLength(2);
  });

  it('removes the reply when it is rolled back, all of its steps', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.checkpoint(held, checkpointOf(run, 3, { position: 2 }));
    await ledger.store.checkpoint(held, checkpointOf(run, 4, { position: 2, step: 1 }));
    expect(await ledger.transcript(session)).toHaveLength(2);
    await ledger.stop(session, 'rollback');
    const stopped = { outcome: 'stopped', mode: 'rollback' };
    expect(await ledger.store.finish(held, finishOf(run, 5))).toEqual(stopped);
    const end = finishOf(run, 6, { ...checkpointOf(run, 6, { position: 2, step: 2 }), status: 'interrupted' });
    expect(await ledger.store.finish(held, end)).toEqual(stopped);
    expect(await ledger.transcript(session)).toHaveLength(2);
    expect(await ledger.store.finish(held, { ...end, remove: true })).toEqual({ outcome: 'released' });
    const [only, ...others] = await ledger.transcript(session);
    expect([only?.role, others]).toEqual(['user', []]);
    expect(await ledger.sessions.message(alice, session, run.reply_id)).toBeNull();
    const rows = await ledger.sql('SELECT removed_at FROM messages WHERE reply_id = $1', [run.reply_id]);
    expect(rows.map((row) => row.removed_at)).toEqual([expect.any(Date), expect.any(Date), expect.any(Date)]);
  });

  it('may be a failure, unless it is rolled back', async () => {
    const rest = { status: 'failed' as const };
    const { session, run, held } = await ledger.working();
    await ledger.stop(session);
    expect(await ledger.store.finish(held, finishOf(run, 5, rest))).toEqual({ outcome: 'released' });
    const { session: back, run: other, held: heldBack } = await ledger.working();
    await ledger.stop(back, 'rollback');
    const end = finishOf(other, 5, rest);
    expect(await ledger.store.finish(heldBack, end)).toEqual({ outcome: 'stopped', mode: 'rollback' });
    expect(await ledger.store.finish(heldBack, { ...end, remove: true })).toEqual({ outcome: 'released' });
  });

  it('does not stop the next run', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.stop(session);
    const second = input(session, 'b');
    await ledger.accept(second);
    await ledger.store.finish(held, finishOf(run, 5, { status: 'interrupted' }));
    expect(await ledger.store.next(held)).toMatchObject({ run: { run_id: second.run_id, stop: null } });
    expect(await ledger.store.stops(system, [held])).toEqual([]);
    expect(await ledger.store.finish(held, finishOf(second, 9))).toEqual({ outcome: 'released' });
  });

  it('is announced by checkpoints, which are written', async () => {
    const { session, run, held } = await ledger.working();
    expect(await ledger.store.checkpoint(held, checkpointOf(run, 3))).toEqual({ outcome: 'held', hints: 0 });
    await ledger.stop(session, 'rollback');
    const stopped = { outcome: 'stopped', mode: 'rollback' };
    expect(await ledger.store.checkpoint(held, checkpointOf(run, 4, { position: 3, step: 1 }))).toEqual({
      ...stopped,
      hints: 0,
    });
    expect(await ledger.row(session)).toMatchObject({ last_seq: 4 });
    expect(await ledger.store.steps(held, run.reply_id)).toHaveLength(2);
  });

  it('is announced by renewals', async () => {
    const { session: one, run, held } = await ledger.working();
    const { session: two } = await ledger.working();
    await ledger.stop(one);
    const held2 = lease(two, 1);
    const renewed = await ledger.store.renew(system, [held, held2, lease(two, 7), lease(one, 1, 'n2')], LEASE_MS);
    expect(new Map(renewed.map((it) => [it.session_id, it.stop_run_id]))).toEqual(
      new Map([
        [one, run.run_id],
        [two, null],
      ]),
    );
    expect(renewed).toHaveLength(2);
    expect(await ledger.store.stops(system, [held, held2])).toHaveLength(1);
    expect(await ledger.store.stops(system, [lease(one, 7)])).toEqual([]);
  });
});
