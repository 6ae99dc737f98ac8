import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Principal } from '../../src/auth/principal.js';
import { newId } from '../../src/platform/ids.js';
import type { NewHint } from '../../src/runs/inbox.js';
import type { Work } from '../../src/runs/run.store.js';
import { alice, checkpointOf, finishOf, input, Ledger, parkOf } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

const newHint = (hint = 'The night is over'): NewHint => ({ id: newId(), hint, source: '{"label":"schedule"}' });
const deliver = (session: string, hint = newHint(), as = alice) => ledger.store.deliverHint(as, session, hint);
const names = () => ({ run_id: newId(), reply_id: newId() });
const told = (work: Work | null | undefined) =>
  (work?.signals ?? []).filter((signal) => signal.kind === 'hint').map((signal) => signal.id);

describe('a hint', () => {
  it('makes an idle session claimable, whose holder makes a run for it', async () => {
    const session = await ledger.newSession();
    const hint = newHint();
    expect(await deliver(session, hint)).toBe('delivered');
    expect(await ledger.row(session)).toMatchObject({ hints: 1, signals: 0 });
    expect(await ledger.sessions.get(alice, session)).toMatchObject({ is_running: true });
    const claim = (await ledger.claimOf(session))!;
    expect(claim).toMatchObject({ kind: 'idle', run: null });
    const payload = { type: 'hint', ...hint, created_at: expect.any(String), finished_at: expect.any(String) };
    expect(claim.signals).toEqual([{ id: hint.id, run_id: null, kind: 'hint', payload }]);
    const run = names();
    const work = await ledger.store.wake(claim.lease, run);
    expect(work).toMatchObject({
      kind: 'next',
      run: { ...run, user_id: 'alice', attempt: 1, messages: [], state: {} },
    });
    expect(told(work)).toEqual([hint.id]);
    expect(await ledger.row(session)).toMatchObject({ lease_run_id: run.run_id, pending: 0 });
    const [entry] = (await ledger.run(run.run_id)).trail as { event: string }[];
    expect(entry).toMatchObject({ event: 'woken', node: 'n9', lease_token: 1 });
    const step = checkpointOf(run, 2, { consumed: told(work) });
    expect(await ledger.store.checkpoint(claim.lease, step)).toEqual({ outcome: 'held', hints: 0 });
    expect(await ledger.store.finish(claim.lease, finishOf(run, 3))).toEqual({ outcome: 'released' });
    expect(await ledger.row(session)).toMatchObject({ hints: 0, signals: 0, lease_owner: null });
    expect(await ledger.sessions.get(alice, session)).toMatchObject({ is_running: false });
    expect(await ledger.inputs(session)).toEqual([]);
  });

  it('is told to a run at work by its checkpoints, and read there', async () => {
    const { session, run, held } = await ledger.working();
    const hints = [newHint('1'), newHint('2')];
    for (const hint of hints) await deliver(session, hint);
    expect(await ledger.store.checkpoint(held, checkpointOf(run, 3))).toEqual({ outcome: 'held', hints: 2 });
    const read = await ledger.store.hints(held);
    expect(read.map((signal) => signal.id)).toEqual(hints.map((hint) => hint.id));
    expect(await ledger.store.hints({ ...held, token: 9 })).toEqual([]);
    await ledger.stop(session);
    const step = checkpointOf(run, 4, { step: 1, consumed: [hints[0]!.id] });
    expect(await ledger.store.checkpoint(held, step)).toEqual({ outcome: 'stopped', mode: 'interrupt', hints: 1 });
    // Said again after a lost answer.
    expect(await ledger.store.checkpoint(held, step)).toEqual({ outcome: 'stopped', mode: 'interrupt', hints: 1 });
    const end = finishOf(run, 5, { status: 'interrupted' });
    expect(await ledger.store.finish(held, end)).toEqual({ outcome: 'pending' });
    expect(told(await ledger.store.next(held))).toEqual([hints[1]!.id]);
  });

  it('waits in a parked session until that goes on', async () => {
    const { session, run, held } = await ledger.working();
    await deliver(session);
    expect(await ledger.store.park(held, parkOf(run, 5, ['c1']))).toEqual({ outcome: 'released' });
    await deliver(session);
    expect(await ledger.sessions.get(alice, session)).toMatchObject({ is_running: false });
    expect(await ledger.claim()).toEqual([]);
    await ledger.store.notify(alice, session, 'state_updated', {});
    const idle = (await ledger.claimOf(session))!;
    expect([idle.kind, idle.signals.map((signal) => signal.kind)]).toEqual(['idle', ['notice']]);
    expect(await ledger.store.wake(idle.lease, names())).toMatchObject({ kind: 'idle', run: null });
    const said = idle.signals.map((signal) => signal.id);
    expect(await ledger.store.release(idle.lease, 6, said)).toEqual({ outcome: 'released' });
    await ledger.answer(session, run, 'c1');
    const claim = (await ledger.claimOf(session))!;
    expect(claim).toMatchObject({ kind: 'resumed', run: { run_id: run.run_id } });
    expect(told(claim)).toHaveLength(2);
    const consumed = claim.signals.map((signal) => signal.id);
    expect(await ledger.store.finish(claim.lease, finishOf(run, 9, { consumed }))).toEqual({ outcome: 'released' });
    expect(await ledger.row(session)).toMatchObject({ hints: 0, signals: 0 });
  });

  it('goes with the message that waits, when there is one', async () => {
    const session = await ledger.newSession();
    await deliver(session);
    const run = input(session, 'a');
    expect((await ledger.accept(run)).outcome).toBe('queued');
    expect((await ledger.accept({ ...input(session, 'b'), on_busy: 'reject' })).outcome).toBe('busy');
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({ kind: 'next', run: { run_id: run.run_id } });
    expect(told(claim)).toHaveLength(1);
  });

  it('that was not consumed is left when the session is given back', async () => {
    const session = await ledger.newSession();
    await deliver(session);
    const { lease, signals } = (await ledger.claimOf(session))!;
    expect(await ledger.store.release(lease, 0, [])).toEqual({ outcome: 'pending' });
    const consumed = signals.map((signal) => signal.id);
    expect(await ledger.store.release(lease, 0, consumed)).toEqual({ outcome: 'released' });
    await deliver(session);
    const second = (await ledger.claimOf(session))!;
    await ledger.store.handOver(second.lease, null, 0);
    expect((await ledger.claimOf(session))?.kind).toBe('idle');
  });

  it('of a run whose holder died is there for who goes on', async () => {
    const session = await ledger.newSession();
    await deliver(session);
    const { lease } = (await ledger.claimOf(session))!;
    const run = names();
    await ledger.store.wake(lease, run);
    await ledger.expire(session);
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({ kind: 'abandoned', run: { run_id: run.run_id, attempt: 2 } });
    expect(told(claim)).toHaveLength(1);
    expect(await ledger.store.wake(lease, names())).toBeNull();
    expect(await ledger.statuses(session)).toEqual(['running']);
  });

  it('is delivered once, to its user, and only so many wait', async () => {
    const session = await ledger.newSession();
    const hint = newHint();
    await deliver(session, hint);
    expect(await deliver(session, hint)).toBe('delivered');
    expect(await ledger.row(session)).toMatchObject({ hints: 1 });
    expect(await deliver(session, newHint(), new Principal('acme', 'bob'))).toBe('gone');
    expect(await deliver(session, newHint(), new Principal('other', 'alice'))).toBe('gone');
    expect(await deliver(randomUUID())).toBe('gone');
    await ledger.sql('UPDATE session_leases SET hints = 999');
    expect([await deliver(session), await deliver(session)]).toEqual(['delivered', 'full']);
    expect(await ledger.inputs(session)).toHaveLength(2);
    await ledger.sessions.delete(alice, { id: session });
    expect(await deliver(session)).toBe('gone');
    await ledger.sessions.purge({ kind: 'system', purpose: 'test' }, 10);
    expect(await ledger.inputs(session)).toEqual([]);
  });

  it('is one of a hundred that are read at once', async () => {
    const { session, run, held } = await ledger.working();
    const all = Array.from({ length: 103 }, () => newHint());
    for (const hint of all) await deliver(session, hint);
    const read = await ledger.store.hints(held);
    expect(read.map((signal) => signal.id)).toEqual(all.slice(0, 100).map((hint) => hint.id));
    const consumed = read.map((signal) => signal.id);
    const step = checkpointOf(run, 3, { consumed });
    expect(await ledger.store.checkpoint(held, step)).toEqual({ outcome: 'held', hints: 3 });
    expect(await ledger.store.hints(held)).toHaveLength(3);
    await ledger.expire(session);
    expect(told(await ledger.claimOf(session))).toHaveLength(3);
  });

  it('before the end of a run: the holder hears of it; behind it: the session is there to be claimed', async () => {
    const { session, run, held } = await ledger.working();
    const first = await ledger.inTurn(
      session,
      () => ledger.other.deliverHint(alice, session, newHint()),
      () => ledger.store.finish(held, finishOf(run, 5)),
    );
    expect(first).toEqual(['delivered', { outcome: 'pending' }]);
    const { session: two, run: other, held: heldTwo } = await ledger.working();
    const second = await ledger.inTurn(
      two,
      () => ledger.store.finish(heldTwo, finishOf(other, 5)),
      () => ledger.other.deliverHint(alice, two, newHint()),
    );
    expect(second).toEqual([{ outcome: 'released' }, 'delivered']);
    expect(await ledger.claimOf(two)).toMatchObject({ kind: 'idle' });
  });
});

describe('a notice', () => {
  it('is said by the holder of the session, of whatever name', async () => {
    const session = await ledger.newSession();
    expect(await ledger.store.notify(alice, session, 'state_updated', { a: 1 })).toBe('delivered');
    const claim = (await ledger.claimOf(session))!;
    const payload = { name: 'state_updated', value: { a: 1 } };
    expect(claim.signals).toEqual([{ id: expect.any(String), run_id: null, kind: 'notice', payload }]);
    const said = claim.signals.map((signal) => signal.id);
    expect(await ledger.store.release(claim.lease, 1, said)).toEqual({ outcome: 'released' });
    expect(await ledger.row(session)).toMatchObject({ signals: 0, hints: 0 });
  });

  it('goes to the user of the session alone, and only so many wait', async () => {
    const session = await ledger.newSession();
    const notify = (as = alice) => ledger.store.notify(as, session, 'x', {});
    expect(await notify(new Principal('acme', 'bob'))).toBe('gone');
    await ledger.sql('UPDATE session_leases SET signals = 1000');
    expect(await notify()).toBe('full');
    expect(await ledger.inputs(session)).toEqual([]);
  });
});

it('a write that is repeated while the first one is under way counts what it consumed once', async () => {
  const session = await ledger.newSession();
  for (const name of ['one', 'two']) await ledger.store.notify(alice, session, name, {});
  const { lease, signals } = (await ledger.claimOf(session))!;
  const consumed = signals.slice(0, 1).map((signal) => signal.id);
  const outcomes = await ledger.inTurn(
    session,
    () => ledger.store.release(lease, 1, consumed),
    () => ledger.other.release(lease, 1, consumed),
  );
  expect(outcomes).toEqual([{ outcome: 'pending' }, { outcome: 'pending' }]);
  expect(await ledger.row(session)).toMatchObject({ signals: 1, lease_owner: 'n9' });
  expect((await ledger.store.next(lease))?.signals).toEqual(signals.slice(1));
});
