import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { Principal } from '../../src/auth/principal.js';
import { LocalEventLog } from '../../src/events/local-event-log.js';
import { Drain } from '../../src/runs/drain.js';
import { EventWriter } from '../../src/runs/event-writer.js';
import { HeldSession } from '../../src/runs/held-session.js';
import { resultOf } from '../../src/runs/answers.js';
import type { Work } from '../../src/runs/run.store.js';
import type { StretchResources } from '../../src/runs/stretch.js';
import { alice, checkpointOf, finishOf, input, LEASE_MS, Ledger, parkOf } from './run-store-support.js';
import { answerOf } from './run-store-answers.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

describe('park', () => {
  it('frees the session for whoever answers', async () => {
    const { session, run, held } = await ledger.working();
    const usage = {
      input_tokens: 1,
      output_tokens: 2,
      cache_input_tokens: 0,
      cache_creation_input_tokens: 0,
      reasoning_tokens: 1,
    };
    expect(await ledger.store.park(held, parkOf(run, 7, ['c1'], { usage }))).toEqual({ outcome: 'released' });
    const free = { lease_owner: null, lease_run_id: null, lease_expires_at: null, waiting_run_id: run.run_id };
    expect(await ledger.row(session)).toMatchObject({ ...free, last_seq: 7 });
    const open_calls = [{ tool_call_id: 'c1', name: 'ask', kind: 'external' }];
    expect(await ledger.run(run.run_id)).toMatchObject({ status: 'waiting', finished_at: null, open_calls, usage });
    const record = await ledger.sessions.get(alice, session);
    expect(record).toMatchObject({ is_running: false, open_calls });
    expect(await ledger.transcript(session)).toHaveLength(2);
  });

  it('frees the session even when input waits, which is not claimed', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.accept(input(session, 'b'));
    expect(await ledger.store.park(held, parkOf(run, 5, ['c1']))).toEqual({ outcome: 'released' });
    await ledger.accept(input(session, 'c'));
    expect(await ledger.claimOf(session)).toBeUndefined();
    expect(await ledger.row(session)).toMatchObject({ pending: 2, lease_owner: null });
  });

  it('repeated after a lost answer says released', async () => {
    const { run, held } = await ledger.working();
    const park = parkOf(run, 5, ['c1']);
    await ledger.store.park(held, park);
    expect(await ledger.store.park(held, park)).toEqual({ outcome: 'released' });
    expect(await ledger.run(run.run_id)).toMatchObject({ status: 'waiting' });
  });

  it('is refused when the run was asked to stop', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.stop(session, 'rollback');
    const stopped = { outcome: 'stopped', mode: 'rollback' };
    expect(await ledger.store.park(held, parkOf(run, 5, ['c1']))).toEqual(stopped);
    expect(await ledger.row(session)).toMatchObject({ lease_run_id: run.run_id, waiting_run_id: null });
    expect(await ledger.transcript(session)).toHaveLength(1);
  });
});

describe('answer', () => {
  it('makes the run claimable, once', async () => {
    const { session, run } = await ledger.parked('c1');
    expect(await ledger.claimOf(session)).toBeUndefined();
    expect(await ledger.answer(session, run, 'c1')).toEqual({ outcome: 'resumed', run_id: run.run_id });
    const claim = await ledger.claimOf(session);
    const resumed = { run_id: run.run_id, reply_id: run.reply_id, attempt: 1, stop: null, messages: [], last_seq: 5 };
    expect(claim).toMatchObject({ kind: 'resumed', run: resumed, last_seq: 5, committed_seq: 5 });
    expect(claim?.signals).toMatchObject([{ run_id: run.run_id, kind: 'answer', payload: { reply_id: run.reply_id } }]);
    expect(await ledger.claimOf(session)).toBeUndefined();
    expect(await ledger.run(run.run_id)).toMatchObject({ status: 'running', owner: 'n9', attempt: 1 });
    expect(await ledger.row(session)).toMatchObject({ waiting_run_id: null, lease_run_id: run.run_id });
  });

  it('is taken once for each call', async () => {
    const { session, run } = await ledger.parked('c1');
    await ledger.answer(session, run, 'c1');
    const repeated = { outcome: 'repeated', run_id: run.run_id };
    const other = { ...answerOf(run), results: [resultOf('c1', 'ask', 'error', 'done')] };
    const refused = { outcome: 'not_awaited', tool_call_ids: ['c1'] };
    for (let round = 0; round < 2; round++) {
      expect(await ledger.answer(session, run, 'c1')).toEqual(repeated);
      expect(await ledger.store.answer(alice, session, other)).toEqual(refused);
      await ledger.claimOf(session);
    }
    expect(await ledger.inputs(session)).toHaveLength(1);
    expect(await ledger.row(session)).toMatchObject({ signals: 1 });
  });

  it('is taken in parts, and of a mixed one nothing', async () => {
    const { session, run } = await ledger.parked('c1', 'c2', 'c3');
    expect((await ledger.answer(session, run, 'c2')).outcome).toBe('resumed');
    const refused = { outcome: 'not_awaited', tool_call_ids: expect.arrayContaining(['c2', 'cx']) };
    expect(await ledger.answer(session, run, 'c1', 'c2', 'cx')).toEqual(refused);
    expect((await ledger.answer(session, run, 'c1', 'c3')).outcome).toBe('resumed');
    const claim = await ledger.claimOf(session);
    expect(claim?.signals.map((signal) => signal.payload)).toMatchObject([
      { results: [{ id: 'c2' }] },
      { results: [{ id: 'c1' }, { id: 'c3' }] },
    ]);
    const consumed = claim?.signals.map((signal) => signal.id) ?? [];
    const end = finishOf(run, 9, { consumed });
    expect(await ledger.store.finish(claim!.lease, end)).toEqual({ outcome: 'released' });
    expect(await ledger.inputs(session)).toEqual([]);
  });

  it('is not awaited by another reply, user, a run at work or one that ended; a foreign session is gone', async () => {
    const { session, run } = await ledger.parked('c1');
    const answer = answerOf(run, 'c1');
    const refused = { outcome: 'not_awaited', tool_call_ids: ['c1'] };
    expect(await ledger.answer(session, { ...run, reply_id: randomUUID() }, 'c1')).toEqual(refused);
    expect(await ledger.store.answer(new Principal('acme', 'bob'), session, answer)).toEqual(refused);
    expect(await ledger.store.answer(new Principal('other', 'alice'), session, answer)).toEqual({ outcome: 'gone' });
    expect(await ledger.store.answer(alice, randomUUID(), answer)).toEqual({ outcome: 'gone' });
    expect(await ledger.inputs(session)).toEqual([]);
    const { session: busy, run: working, held } = await ledger.working();
    expect(await ledger.answer(busy, working, 'c1')).toEqual(refused);
    await ledger.store.finish(held, finishOf(working, 4));
    expect(await ledger.answer(busy, working, 'c1')).toEqual(refused);
  });

  it('lets the queue go on when the resumed run is over', async () => {
    const { session, run } = await ledger.parked('c1');
    const waits = input(session, 'b');
    await ledger.accept(waits);
    await ledger.answer(session, run, 'c1');
    const claim = await ledger.claimOf(session);
    const consumed = claim?.signals.map((signal) => signal.id) ?? [];
    expect(await ledger.store.finish(claim!.lease, finishOf(run, 9, { consumed }))).toEqual({ outcome: 'pending' });
    expect(await ledger.store.next(claim!.lease)).toMatchObject({ kind: 'next', run: { run_id: waits.run_id } });
  });
});

describe('an answer while the run is at work again', () => {
  /** Parked with two calls; the first one is answered, and n9 works on it. */
  async function halfAnswered() {
    const { session, run } = await ledger.parked('c1', 'c2');
    await ledger.answer(session, run, 'c1');
    const claim = (await ledger.claimOf(session))!;
    return { session, run, held: claim.lease, consumed: claim.signals.map((signal) => signal.id) };
  }

  it('keeps the session from being left when it parks again', async () => {
    const { session, run, held, consumed } = await halfAnswered();
    expect(await ledger.answer(session, run, 'c2')).toEqual({ outcome: 'resumed', run_id: run.run_id });
    const park = parkOf(run, 8, ['c2'], { consumed });
    expect(await ledger.store.park(held, park)).toEqual({ outcome: 'pending' });
    const work = await ledger.store.next(held);
    expect(work).toMatchObject({ kind: 'resumed', run: { run_id: run.run_id } });
    expect(work?.signals).toMatchObject([{ payload: { results: [{ id: 'c2' }] } }]);
  });

  it('is the same work when it is asked for again', async () => {
    const { session, run, held, consumed } = await halfAnswered();
    await ledger.answer(session, run, 'c2');
    await ledger.store.park(held, parkOf(run, 8, ['c2'], { consumed }));
    const work = await ledger.store.next(held);
    expect(await ledger.store.next(held)).toEqual(work);
  });

  it('is not taken a second time when it parks again', async () => {
    const { session, run, held, consumed } = await halfAnswered();
    await ledger.answer(session, run, 'c2');
    await ledger.store.park(held, parkOf(run, 8, ['c2'], { consumed, known_calls: ['c2'] }));
    expect(await ledger.run(run.run_id)).toMatchObject({ open_calls: [] });
    expect(await ledger.answer(session, run, 'c2')).toEqual({ outcome: 'repeated', run_id: run.run_id });
    expect(await ledger.inputs(session)).toHaveLength(1);
  });

  it('does not keep the session when the run ends without it', async () => {
    const { session, run, held, consumed } = await halfAnswered();
    await ledger.answer(session, run, 'c2');
    await ledger.stop(session);
    let { outcome } = await ledger.store.finish(held, finishOf(run, 8, { status: 'interrupted', consumed }));
    const drain = drainOf(new HeldSession(held, LEASE_MS, performance.now()), 8);
    let work: Work | null = null;
    for (let round = 0; round < 3 && outcome === 'pending'; round++) {
      work = work ?? (await ledger.store.next(held));
      work = await drain.work(work!);
      outcome = work ? 'pending' : 'released';
    }
    expect(outcome).toBe('released');
    expect(await ledger.row(session)).toMatchObject({ lease_owner: null, signals: 0 });
    expect(await ledger.inputs(session)).toEqual([]);
  });

  function drainOf(held: HeldSession, seq: number): Drain {
    const ignore = () => undefined;
    const verify = async () => true;
    const log = new LocalEventLog({ max_entries: 10, ttl_seconds: 60 });
    const writer = new EventWriter(log, {
      lease: held.lease,
      seq,
      prev: seq,
      verify,
      onFenced: ignore,
      onLost: ignore,
      onError: ignore,
    });
    return new Drain({ store: ledger.store } as unknown as StretchResources, held, writer);
  }
});

describe('stop of a parked run', () => {
  it.each(['interrupt', 'rollback'] as const)('%s makes it claimable, to be ended', async (mode) => {
    const { session, run } = await ledger.parked('c1');
    const stopped = { run_id: run.run_id, status: 'waiting', cancelled: [] };
    expect(await ledger.stop(session, mode)).toEqual(stopped);
    expect(await ledger.row(session)).toMatchObject({ signals: 1, stop_run_id: null });
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({ kind: 'resumed', run: { run_id: run.run_id, stop: mode } });
    expect(claim?.signals).toMatchObject([{ run_id: run.run_id, kind: 'stop' }]);
    expect(await ledger.row(session)).toMatchObject({ stop_run_id: run.run_id, stop_mode: mode });
    const consumed = claim?.signals.map((signal) => signal.id) ?? [];
    const remove = mode === 'rollback';
    const end = finishOf(run, 9, { status: 'interrupted', consumed, remove });
    expect(await ledger.store.finish(claim!.lease, end)).toEqual({ outcome: 'released' });
    expect(await ledger.statuses(session)).toEqual(['interrupted']);
    expect(await ledger.run(run.run_id)).toMatchObject({ open_calls: null });
    expect(await ledger.transcript(session)).toHaveLength(remove ? 1 : 2);
  });

  it('asked twice is one end', async () => {
    const { session, run } = await ledger.parked('c1');
    await ledger.stop(session);
    await ledger.stop(session, 'rollback');
    const claim = await ledger.claimOf(session);
    expect(claim?.run).toMatchObject({ stop: 'rollback' });
    const consumed = claim?.signals.map((signal) => signal.id) ?? [];
    const end = finishOf(run, 9, { status: 'interrupted', consumed, remove: true });
    expect(await ledger.store.finish(claim!.lease, end)).toEqual({ outcome: 'released' });
    expect(await ledger.inputs(session)).toEqual([]);
  });

  it('is not undone by a checkpoint of who held it before', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.park(held, parkOf(run, 5, ['c1']));
    await ledger.stop(session);
    expect(await ledger.store.checkpoint(held, checkpointOf(run, 6))).toEqual({ outcome: 'fenced' });
  });
});
