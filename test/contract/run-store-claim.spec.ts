import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Principal } from '../../src/auth/principal.js';
import { checkpointOf, finishOf, ids, input, LEASE_MS, lease, Ledger, system } from './run-store-support.js';

const JUMP = 2 ** 20;
let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

describe('claim', () => {
  it('takes a queued run with its messages, numbered', async () => {
    const session = await ledger.newSession();
    const first = input(session, 'a', 'b');
    await ledger.queue(first);
    const [claim, ...others] = await ledger.claim();
    expect(others).toEqual([]);
    expect(claim).toMatchObject({
      kind: 'next',
      lease: lease(session, 1, 'n9'),
      run: { run_id: first.run_id, reply_id: first.reply_id, user_id: 'alice', attempt: 1, work_ms: 0, last_seq: 2 },
      signals: [],
      last_seq: 2,
      committed_seq: 0,
    });
    expect(claim?.run?.messages).toEqual(first.messages);
    expect(ids(await ledger.transcript(session))).toEqual(ids(first.messages));
    const at_work = { pending: 0, lease_owner: 'n9', lease_run_id: first.run_id, reply_seq: 0, last_seq: 2 };
    expect(await ledger.row(session)).toMatchObject(at_work);
    expect(await ledger.inputs(session)).toEqual([]);
    expect(await ledger.claim()).toEqual([]);
  });

  it('takes no more than it was told to, and none with a live holder', async () => {
    const { session } = await ledger.working();
    await ledger.accept(input(session, 'b'));
    for (let i = 0; i < 5; i++) await ledger.queue(input(await ledger.newSession(), 'x'));
    expect(await ledger.claim({ limit: 2 })).toHaveLength(2);
    expect(await ledger.claim({ limit: 100 })).toHaveLength(3);
    expect(await ledger.row(session)).toMatchObject({ lease_owner: 'n1', lease_token: 1 });
  });

  it('starts what was begun before what was not', async () => {
    const queued = await ledger.newSession();
    await ledger.queue(input(queued, 'x'));
    const { session: dead } = await ledger.working();
    await ledger.expire(dead);
    const { session: parked, run } = await ledger.parked('c1');
    await ledger.answer(parked, run, 'c1');
    const claims = await ledger.claim({ limit: 2 });
    expect(new Map(claims.map((claim) => [claim.lease.session_id, claim.kind]))).toEqual(
      new Map([
        [dead, 'abandoned'],
        [parked, 'resumed'],
      ]),
    );
    expect((await ledger.claim({ limit: 2 })).map((claim) => claim.lease.session_id)).toEqual([queued]);
  });

  it('gives each tenant its share: many of one do not starve another', async () => {
    const [big, small] = [new Principal('big', 'u'), new Principal('small', 'u')];
    for (let i = 0; i < 8; i++) await ledger.queue(input(await ledger.newSession(big), 'x'), { as: big });
    for (let i = 0; i < 2; i++) await ledger.queue(input(await ledger.newSession(small), 'x'), { as: small });
    const tenants = async (limit: number) => (await ledger.claim({ limit })).map((it) => it.lease.tenant_id).sort();
    expect(await tenants(2)).toEqual(['big', 'small']);
    expect(await tenants(1)).toEqual(['big']);
    expect(await tenants(1)).toEqual(['small']);
    expect(await tenants(100)).toEqual(Array.from({ length: 6 }, () => 'big'));
  });

  it('counts what a tenant has at work against it', async () => {
    const [big, small] = [new Principal('big', 'u'), new Principal('small', 'u')];
    for (let i = 0; i < 3; i++) await ledger.accept(input(await ledger.newSession(big), 'x'), { as: big });
    await ledger.queue(input(await ledger.newSession(big), 'old'), { as: big });
    for (let i = 0; i < 3; i++) await ledger.queue(input(await ledger.newSession(small), 'new'), { as: small });
    const claims = await ledger.claim({ limit: 3 });
    expect(claims.map((claim) => claim.lease.tenant_id)).toEqual(['small', 'small', 'small']);
  });

  it('takes the oldest of a tenant first', async () => {
    const sessions = [];
    for (let i = 0; i < 4; i++) {
      const session = await ledger.newSession();
      await ledger.queue(input(session, 'x'));
      sessions.push(session);
    }
    for (const session of sessions) {
      expect((await ledger.claim({ limit: 1 })).map((claim) => claim.lease.session_id)).toEqual([session]);
    }
  });

  it('takes the runs of a session in their order, one at a time', async () => {
    const session = await ledger.newSession();
    const runs = [input(session, 'a'), input(session, 'b'), input(session, 'c')];
    for (const run of runs) await ledger.queue(run);
    let seq = 0;
    for (const run of runs) {
      const claims = await ledger.claim();
      expect(claims.map((claim) => claim.run?.run_id)).toEqual([run.run_id]);
      await ledger.store.finish(claims[0]!.lease, finishOf(run, (seq += 5)));
      if (run !== runs.at(-1)) await ledger.store.handOver(claims[0]!.lease, null, seq);
    }
    expect(await ledger.statuses(session)).toEqual(['completed', 'completed', 'completed']);
    expect((await ledger.transcript(session)).map((it) => it.role)).toEqual(runs.flatMap(() => ['user', 'assistant']));
  });
});

describe('recovery', () => {
  it('takes the run of a dead holder as another attempt, above all numbers it may have given', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.checkpoint(held, checkpointOf(run, 7, { position: 2 }));
    await ledger.expire(session);
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({
      kind: 'abandoned',
      lease: { token: 2, owner: 'n9' },
      run: { run_id: run.run_id, attempt: 2, messages: [], last_seq: 7 + JUMP },
      last_seq: 7 + JUMP,
      committed_seq: 7,
    });
    expect(await ledger.row(session)).toMatchObject({ last_seq: 7 + JUMP, lease_owner: 'n9' });
    expect(await ledger.store.steps(claim!.lease, run.reply_id)).toHaveLength(1);
  });

  it('takes what was handed over as the same attempt, at the same number', async () => {
    const { session, run, held } = await ledger.working();
    expect(await ledger.store.handOver(held, run.run_id, 9)).toBe(true);
    expect(await ledger.row(session)).toMatchObject({ lease_owner: null, lease_run_id: run.run_id, last_seq: 9 });
    expect(await ledger.run(run.run_id)).toMatchObject({ status: 'running' });
    const claim = await ledger.claimOf(session);
    const same = { run_id: run.run_id, attempt: 1, last_seq: 9 };
    expect(claim).toMatchObject({ kind: 'handed_over', run: same, last_seq: 9, committed_seq: 9 });
    expect(await ledger.store.handOver(held, run.run_id, 12)).toBe(false);
    expect(await ledger.row(session)).toMatchObject({ lease_owner: 'n9', last_seq: 9 });
  });

  it('hands over a session between two runs', async () => {
    const { session, run, held } = await ledger.working();
    const second = input(session, 'b');
    await ledger.accept(second);
    await ledger.store.finish(held, finishOf(run, 5));
    expect(await ledger.store.handOver(held, null, 5)).toBe(true);
    expect(await ledger.claimOf(session)).toMatchObject({ kind: 'next', run: { run_id: second.run_id, attempt: 1 } });
  });

  it('expireAll ends every lease at once: the attempts count', async () => {
    const { session: one } = await ledger.working();
    const { session: two } = await ledger.working();
    await ledger.newSession();
    expect(await ledger.store.expireAll(system)).toBe(2);
    const claims = await ledger.claim();
    const seen = claims.map((claim) => [claim.lease.session_id, claim.kind, claim.run?.attempt]);
    expect(seen.sort()).toEqual(
      [
        [one, 'abandoned', 2],
        [two, 'abandoned', 2],
      ].sort(),
    );
  });

  it('does not count an attempt whose lease ran out while the database was away', async () => {
    const { session } = await ledger.working();
    const attempt = async (from: number, to: number) => {
      await ledger.expire(session, 1000);
      const { lease_expires_at } = await ledger.row(session);
      const at = (ms: number) => new Date((lease_expires_at as Date).getTime() + ms);
      return (await ledger.claimOf(session, { outage: { from: at(from), to: at(to) } }))?.run?.attempt;
    };
    expect(await attempt(-50, 50)).toBe(1);
    expect(await attempt(50, 100)).toBe(2);
    expect(await attempt(-100, -50)).toBe(3);
  });

  it('does not count an attempt whose lease ran out before a holder could renew it on a restarted database', async () => {
    const { session } = await ledger.working();
    const [started] = await ledger.sql(
      'SELECT extract(epoch FROM clock_timestamp() - pg_postmaster_start_time()) * 1000 AS ms',
    );
    const up_ms = Math.round(Number(started?.ms));
    const attempt = async (ago: number, grace_ms: number) => {
      await ledger.expire(session, ago);
      return (await ledger.claimOf(session, { grace_ms }))?.run?.attempt;
    };
    expect(await attempt(up_ms + 60_000, 0)).toBe(1);
    expect(await attempt(10, up_ms + 60_000)).toBe(1);
    expect(await attempt(10, 0)).toBe(2);
  });

  it('counts an attempt per claim of a dead holder, not per renewal', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.expire(session);
    expect(await ledger.store.renew(system, [held], LEASE_MS)).toHaveLength(1);
    expect(await ledger.claimOf(session)).toBeUndefined();
    for (const attempt of [2, 3]) {
      await ledger.expire(session);
      expect((await ledger.claimOf(session))?.run).toMatchObject({ run_id: run.run_id, attempt });
    }
  });

  it('adds up how long a run worked, over holders and without the time it waited', async () => {
    const { session, run, held } = await ledger.working();
    const back = (seconds: number) =>
      ledger.sql(`UPDATE runs SET resumed_at = resumed_at - $2::int * interval '1 s' WHERE id = $1`, [
        run.run_id,
        seconds,
      ]);
    await back(10);
    await ledger.store.handOver(held, run.run_id, 3);
    const first = await ledger.claimOf(session);
    expect(first?.run?.work_ms).toBeGreaterThanOrEqual(10_000);
    expect(first?.run?.work_ms).toBeLessThan(20_000);
    await back(100);
    await ledger.expire(session, 50_000);
    const second = await ledger.claimOf(session);
    expect(second?.run?.work_ms).toBeGreaterThanOrEqual(55_000);
    expect(second?.run?.work_ms).toBeLessThan(75_000);
  });

  it('starts above the numbers of notices that a dead holder may have given', async () => {
    const session = await ledger.newSession();
    await ledger.queue(input(session, 'a'));
    await ledger.stop(session);
    expect(await ledger.claimOf(session)).toMatchObject({ kind: 'idle', last_seq: 0 });
    await ledger.expire(session);
    await ledger.queue(input(session, 'b'));
    const claim = await ledger.claimOf(session);
    expect(claim?.run?.messages).toHaveLength(1);
    expect(claim?.last_seq).toBeGreaterThan(JUMP);
  });

  it('leaves a trail, an entry for each thing that befell the run', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.handOver(held, run.run_id, 3);
    await ledger.claimOf(session);
    await ledger.expire(session);
    await ledger.claimOf(session);
    const { trail } = await ledger.run(run.run_id);
    expect(trail).toEqual([
      { at: expect.any(String), event: 'handed_over', node: 'n1' },
      { at: expect.any(String), event: 'taken_over', node: 'n9', lease_token: 2 },
      {
        at: expect.any(String),
        event: 'recovered',
        node: 'n9',
        lease_token: 3,
        lost_by: 'n9',
        lease_expired_at: expect.any(String),
        attempt_counted: true,
      },
    ]);
  });
});
