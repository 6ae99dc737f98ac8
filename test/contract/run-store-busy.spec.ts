import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { BusyPolicy } from '../../src/runs/run.store.js';
import { finishOf, ids, input, lease, Ledger, message } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

const asking = (session: string, on_busy: BusyPolicy, ...texts: string[]) => ({ ...input(session, ...texts), on_busy });

const asked = async (session: string) =>
  (await ledger.sql('SELECT id FROM approvals WHERE session_id = $1 ORDER BY id', [session])).map((row) => row.id);

describe('accept: reject', () => {
  it('takes a free session, or waits for a slot in it', async () => {
    const [one, two] = [await ledger.newSession(), await ledger.newSession()];
    expect((await ledger.accept(asking(one, 'reject', 'x'))).outcome).toBe('taken');
    expect((await ledger.queue(asking(two, 'reject', 'x'))).outcome).toBe('queued');
  });

  it('names the run at work, and leaves nothing behind', async () => {
    const { session, run } = await ledger.working();
    await ledger.accept(input(session, 'b'));
    const blocking = { run_id: run.run_id, status: 'running', tool_call_ids: [], approval_ids: [] };
    expect(await ledger.accept(asking(session, 'reject', 'x'))).toEqual({ outcome: 'busy', blocking });
    expect(await ledger.statuses(session)).toEqual(['running', 'queued']);
    expect(await ledger.row(session)).toMatchObject({ pending: 1 });
  });

  it('names the oldest of the queued', async () => {
    const session = await ledger.newSession();
    const first = input(session, 'a');
    await ledger.queue(first);
    await ledger.queue(input(session, 'b'));
    const blocking = { run_id: first.run_id, status: 'queued', tool_call_ids: [], approval_ids: [] };
    expect(await ledger.accept(asking(session, 'reject', 'x'))).toEqual({ outcome: 'busy', blocking });
  });

  it('names the parked run and what it waits for', async () => {
    const { session, run } = await ledger.parked('c1', 'c2');
    const blocking = {
      run_id: run.run_id,
      status: 'waiting',
      tool_call_ids: ['c1', 'c2'],
      approval_ids: await asked(session),
    };
    expect(await ledger.accept(asking(session, 'reject', 'x'))).toEqual({ outcome: 'busy', blocking });
  });

  it('names a run that its holder handed over', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.handOver(held, run.run_id, 3);
    const blocking = { run_id: run.run_id, status: 'running', tool_call_ids: [], approval_ids: [] };
    expect(await ledger.accept(asking(session, 'reject', 'x'))).toEqual({ outcome: 'busy', blocking });
  });
});

describe('accept: enqueue behind a parked run', () => {
  it('says what blocks it', async () => {
    const { session, run } = await ledger.parked('c1');
    const blocked_by = {
      run_id: run.run_id,
      status: 'waiting',
      tool_call_ids: ['c1'],
      approval_ids: await asked(session),
    };
    expect(await ledger.accept(input(session, 'x'))).toEqual({ outcome: 'queued', blocked_by });
  });
});

describe('accept: interrupt and rollback', () => {
  it.each(['interrupt', 'rollback'] as const)('%s stops the run at work and is next', async (mode) => {
    const { session, run } = await ledger.working();
    const waits = input(session, 'waits');
    await ledger.accept(waits);
    const instead = asking(session, mode, 'x');
    expect(await ledger.accept(instead)).toEqual({ outcome: 'queued', stopped: run.run_id });
    expect(await ledger.row(session)).toMatchObject({ stop_run_id: run.run_id, stop_mode: mode, pending: 1 });
    expect(await ledger.statuses(session)).toEqual(['running', 'cancelled', 'queued']);
    const end = finishOf(run, 5, { status: 'interrupted', remove: mode === 'rollback' });
    expect(await ledger.store.finish(lease(session, 1), end)).toEqual({ outcome: 'pending' });
    expect(await ledger.store.next(lease(session, 1))).toMatchObject({ kind: 'next', run: { run_id: instead.run_id } });
  });

  it('takes a session whose queue it cleared, once the others have been told', async () => {
    const session = await ledger.newSession();
    const waits = input(session, 'waits');
    await ledger.queue(waits);
    const instead = asking(session, 'interrupt', 'x');
    expect(await ledger.accept(instead)).toEqual({ outcome: 'queued' });
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({ kind: 'next', run: { run_id: instead.run_id } });
    expect(claim?.signals).toMatchObject([{ run_id: waits.run_id, kind: 'notice' }]);
  });

  it('takes a free session at once', async () => {
    const session = await ledger.newSession();
    expect(await ledger.accept(asking(session, 'rollback', 'x'))).toEqual({
      outcome: 'taken',
      token: 1,
      last_seq: 1,
      state: {},
    });
  });

  it('ends a parked run', async () => {
    const { session, run } = await ledger.parked('c1');
    const instead = asking(session, 'interrupt', 'x');
    expect(await ledger.accept(instead)).toMatchObject({ outcome: 'queued', stopped: run.run_id });
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({ kind: 'resumed', run: { run_id: run.run_id, stop: 'interrupt' } });
  });

  it('stops nothing for input that is not taken', async () => {
    const { session, run } = await ledger.working();
    await ledger.accept(input(session, 'b'));
    const again = { ...asking(session, 'interrupt'), messages: run.messages };
    expect(await ledger.accept(again)).toEqual({ outcome: 'duplicate', run_id: run.run_id, status: 'running' });
    expect((await ledger.accept({ ...asking(session, 'interrupt', 'x'), session_version: 7 })).outcome).toBe('stale');
    const clash = { ...asking(session, 'rollback'), messages: [{ ...message('x'), id: run.reply_id }] };
    await ledger.store.checkpoint(lease(session, 1), finishOf(run, 3));
    expect((await ledger.accept(clash)).outcome).toBe('id_taken');
    expect(await ledger.statuses(session)).toEqual(['running', 'queued']);
    expect(await ledger.row(session)).toMatchObject({ stop_run_id: null, pending: 1, signals: 0 });
    expect(await ledger.run(run.run_id)).toMatchObject({ stop_requested_at: null });
  });

  it.each(['interrupt', 'rollback'] as const)('%s repeated while it is queued is the same run', async (mode) => {
    const { session } = await ledger.working();
    const instead = asking(session, mode, 'x');
    await ledger.accept(instead);
    const again = { ...asking(session, mode), messages: instead.messages };
    expect(await ledger.accept(again)).toEqual({ outcome: 'duplicate', run_id: instead.run_id, status: 'queued' });
    expect(await ledger.statuses(session)).toEqual(['running', 'queued']);
  });
});

describe('accept: coalesce', () => {
  const collecting = (session: string, ...texts: string[]) => ({ ...input(session, ...texts), coalesce_ms: 60_000 });

  it('joins what comes in the window to one turn, in order', async () => {
    const session = await ledger.newSession();
    const first = collecting(session, 'a', 'b');
    expect(await ledger.accept(first)).toEqual({ outcome: 'queued' });
    const joined = { outcome: 'joined', run_id: first.run_id };
    const [second, third] = [collecting(session, 'c'), input(session, 'd', 'e')];
    expect(await ledger.accept(second)).toEqual(joined);
    expect(await ledger.accept(third)).toEqual(joined);
    expect(await ledger.statuses(session)).toEqual(['queued']);
    expect(await ledger.row(session)).toMatchObject({ pending: 1 });
    await ledger.closeWindow(session);
    const claim = await ledger.claimOf(session);
    const all = ids([...first.messages, ...second.messages, ...third.messages]);
    expect(claim?.run).toMatchObject({ run_id: first.run_id, last_seq: 5 });
    expect(ids(claim?.run?.messages ?? [])).toEqual(all);
    expect(ids(await ledger.transcript(session))).toEqual(all);
  });

  it('keeps the messages of one input together when two processes join at once', async () => {
    const session = await ledger.newSession();
    const first = collecting(session, 'a');
    await ledger.accept(first);
    const [second, third] = [collecting(session, 'b', 'c', 'd'), collecting(session, 'e', 'f', 'g')];
    await ledger.inTurn(
      session,
      () => ledger.accept(second),
      () => ledger.accept(third, { store: ledger.other }),
    );
    await ledger.closeWindow(session);
    const claim = await ledger.claimOf(session);
    const all = ids([...first.messages, ...second.messages, ...third.messages]);
    expect(ids(claim?.run?.messages ?? [])).toEqual(all);
  });

  it('is not claimed, nor given to the holder, before the window is closed', async () => {
    const { session, run, held } = await ledger.working();
    const waits = collecting(session, 'b');
    await ledger.accept(waits);
    expect(await ledger.store.finish(held, finishOf(run, 5))).toEqual({ outcome: 'released' });
    expect(await ledger.claimOf(session)).toBeUndefined();
    await ledger.closeWindow(session);
    expect(await ledger.claimOf(session)).toMatchObject({ kind: 'next', run: { run_id: waits.run_id } });
  });

  it('lets what was queued before it go first', async () => {
    const session = await ledger.newSession();
    const [first, second] = [input(session, 'a'), collecting(session, 'b')];
    await ledger.queue(first);
    await ledger.queue(second);
    const claim = await ledger.claimOf(session);
    expect(claim?.run?.run_id).toBe(first.run_id);
    expect(await ledger.store.finish(claim!.lease, finishOf(first, 5))).toEqual({ outcome: 'released' });
  });

  it('starts another turn when the window is closed', async () => {
    const session = await ledger.newSession();
    const [first, second] = [collecting(session, 'a'), collecting(session, 'b')];
    await ledger.accept(first);
    await ledger.closeWindow(session);
    expect(await ledger.accept(second)).toEqual({ outcome: 'queued' });
    const claim = await ledger.claimOf(session);
    expect(claim?.run?.run_id).toBe(first.run_id);
    const third = input(session, 'c');
    expect(await ledger.accept(third)).toEqual({ outcome: 'joined', run_id: second.run_id });
  });

  it('knows a repeated message in the window, and forgets a cancelled turn', async () => {
    const session = await ledger.newSession();
    const [first, second] = [collecting(session, 'a'), collecting(session, 'b')];
    await ledger.accept(first);
    await ledger.accept(second);
    const again = { ...collecting(session), messages: second.messages };
    expect(await ledger.accept(again)).toEqual({ outcome: 'duplicate', run_id: first.run_id, status: 'queued' });
    await ledger.stop(session);
    expect(await ledger.row(session)).toMatchObject({ pending: 0, collect_run_id: null, collect_until: null });
    expect((await ledger.accept(again)).outcome).toBe('queued');
  });
});
