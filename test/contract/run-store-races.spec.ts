import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Claim } from '../../src/runs/run.store.js';
import { alice, finishOf, ids, input, Ledger, system, LEASE_MS } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

describe('accept and finish at once', () => {
  it('accept first: the holder is told that there is more', async () => {
    const { session, run, held } = await ledger.working();
    const second = input(session, 'b');
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.accept(second, { owner: 'n2', store: ledger.other }),
      () => ledger.store.finish(held, finishOf(run, 5)),
    );
    expect(outcomes).toEqual([{ outcome: 'queued' }, { outcome: 'pending' }]);
    expect(await ledger.row(session)).toMatchObject({ lease_owner: 'n1', lease_token: 1, pending: 1 });
    expect(await ledger.store.next(held)).toMatchObject({ kind: 'next', run: { run_id: second.run_id, last_seq: 6 } });
  });

  it('finish first: the input takes the session, numbered behind the reply', async () => {
    const { session, run, held } = await ledger.working();
    const second = input(session, 'b');
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.store.finish(held, finishOf(run, 5)),
      () => ledger.accept(second, { owner: 'n2', store: ledger.other }),
    );
    expect(outcomes).toEqual([{ outcome: 'released' }, { outcome: 'taken', token: 2, last_seq: 6, state: {} }]);
    expect(await ledger.row(session)).toMatchObject({ lease_owner: 'n2', lease_run_id: second.run_id, pending: 0 });
    expect(ids(await ledger.transcript(session)).at(-1)).toBe(second.messages[0]?.id);
  });

  it('finish first, no slot: the input is there to be claimed', async () => {
    const { session, run, held } = await ledger.working();
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.store.finish(held, finishOf(run, 5)),
      () => ledger.queue(input(session, 'b'), { store: ledger.other }),
    );
    expect(outcomes).toEqual([{ outcome: 'released' }, { outcome: 'queued' }]);
    expect(await ledger.claimOf(session)).toMatchObject({ kind: 'next' });
  });

  it('leaves no free session with waiting input in many rounds', async () => {
    for (let round = 0; round < 60; round++) {
      const { session, run, held } = await ledger.working();
      const finish = () => ledger.store.finish(held, finishOf(run, 5));
      const accept = () => ledger.accept(input(session, 'b'), { owner: 'n2', store: ledger.other });
      const [ended, accepted] = await (round % 2
        ? Promise.all([finish(), accept()])
        : Promise.all([accept(), finish()]).then(([a, f]) => [f, a] as const));
      const { lease_owner, pending } = await ledger.row(session);
      const state = [accepted.outcome, lease_owner, pending];
      expect(state).toEqual(ended.outcome === 'pending' ? ['queued', 'n1', 1] : ['taken', 'n2', 0]);
    }
  });
});

describe('others at once', () => {
  it('two inputs for a free session: one takes it', async () => {
    const session = await ledger.newSession();
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.accept(input(session, 'a'), { owner: 'n1' }),
      () => ledger.accept(input(session, 'b'), { owner: 'n2', store: ledger.other }),
    );
    expect(outcomes).toEqual([{ outcome: 'taken', token: 1, last_seq: 1, state: {} }, { outcome: 'queued' }]);
    expect(await ledger.row(session)).toMatchObject({ lease_owner: 'n1', pending: 1 });
  });

  it('a stop before the end of a run: the end is refused', async () => {
    const { session, run, held } = await ledger.working();
    const [, ended] = await ledger.inTurn(
      session,
      () => ledger.other.requestStop(alice, session, 'interrupt'),
      () => ledger.store.finish(held, finishOf(run, 5)),
    );
    expect(ended).toEqual({ outcome: 'stopped', mode: 'interrupt' });
    expect(await ledger.statuses(session)).toEqual(['running']);
  });

  it('a stop behind the end of a run: nothing is stopped', async () => {
    const { session, run, held } = await ledger.working();
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.store.finish(held, finishOf(run, 5)),
      () => ledger.other.requestStop(alice, session, 'interrupt'),
    );
    expect(outcomes).toEqual([{ outcome: 'released' }, { run_id: null, status: null, cancelled: [] }]);
    expect(await ledger.row(session)).toMatchObject({ stop_run_id: null, signals: 0, lease_owner: null });
    expect(await ledger.statuses(session)).toEqual(['completed']);
  });

  it('a cancellation behind the end of a run: its notice is left for a claim', async () => {
    const { session, run, held } = await ledger.working();
    const second = input(session, 'b');
    await ledger.accept(second);
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.other.requestStop(alice, session, 'interrupt', second.run_id),
      () => ledger.store.finish(held, finishOf(run, 5)),
    );
    expect(outcomes).toEqual([{ run_id: null, status: null, cancelled: [second.run_id] }, { outcome: 'pending' }]);
    const work = await ledger.store.next(held);
    expect(work).toMatchObject({ kind: 'idle', run: null, signals: [{ kind: 'notice', run_id: second.run_id }] });
    const said = work?.signals.map((signal) => signal.id) ?? [];
    expect(await ledger.store.release(held, 6, said)).toEqual({ outcome: 'released' });
    expect(await ledger.inputs(session)).toEqual([]);
    expect(await ledger.row(session)).toMatchObject({ signals: 0, last_seq: 6, lease_owner: null });
  });

  it('input before the release: the session is kept', async () => {
    const { session, run, held } = await ledger.working();
    const second = input(session, 'b');
    await ledger.accept(second);
    await ledger.store.finish(held, finishOf(run, 5));
    await ledger.stop(session, 'interrupt', second.run_id);
    const said = (await ledger.store.next(held))?.signals.map((signal) => signal.id) ?? [];
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.accept(input(session, 'c'), { store: ledger.other }),
      () => ledger.store.release(held, 6, said),
    );
    expect(outcomes).toEqual([{ outcome: 'queued' }, { outcome: 'pending' }]);
    expect(await ledger.store.next(held)).toMatchObject({ kind: 'next' });
  });

  it('a deletion before the end of a run: the end is fenced', async () => {
    const { session, run, held } = await ledger.working();
    const [, ended] = await ledger.inTurn(
      session,
      () => ledger.sessions.delete(alice, { id: session }),
      () => ledger.store.finish(held, finishOf(run, 5)),
    );
    expect(ended).toEqual({ outcome: 'fenced' });
  });

  it('an answer and a stop: the run is resumed once, with both', async () => {
    const { session, run } = await ledger.parked('c1');
    await ledger.inTurn(
      session,
      () => ledger.answer(session, run, 'c1'),
      () => ledger.other.requestStop(alice, session, 'interrupt'),
    );
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({ kind: 'resumed', run: { stop: 'interrupt' } });
    expect(claim?.signals.map((signal) => signal.kind)).toEqual(['answer', 'stop']);
    const consumed = claim?.signals.map((signal) => signal.id) ?? [];
    const end = finishOf(run, 9, { status: 'interrupted', consumed });
    expect(await ledger.store.finish(claim!.lease, end)).toEqual({ outcome: 'released' });
  });

  it('two claimers: no session twice, none left out', async () => {
    const sessions = await Promise.all(Array.from({ length: 30 }, () => ledger.newSession()));
    for (const session of sessions) await ledger.queue(input(session, 'x'));
    const claimed: string[] = [];
    const work = async (owner: string, store = ledger.store) => {
      for (let some: Claim[]; (some = await ledger.claim({ owner, store, limit: 4 })).length > 0;)
        claimed.push(...some.map((claim) => claim.lease.session_id));
    };
    await Promise.all([work('a'), work('b', ledger.other), work('c'), work('d', ledger.other)]);
    // What another claimer has locked is passed over: the next look finds it.
    await work('e');
    expect(claimed.sort()).toEqual([...sessions].sort());
  });

  it('a claim passes over what another claim has locked', async () => {
    const [one, two] = [await ledger.newSession(), await ledger.newSession()];
    for (const session of [one, two]) await ledger.queue(input(session, 'x'));
    const { letGo } = await ledger.lock(one);
    expect((await ledger.claim()).map((claim) => claim.lease.session_id)).toEqual([two]);
    await letGo();
    expect((await ledger.claim()).map((claim) => claim.lease.session_id)).toEqual([one]);
  });

  it('a renewal behind the claim of another node: the lease is not ours any more', async () => {
    const { session, held } = await ledger.working();
    await ledger.expire(session);
    expect(await ledger.claimOf(session)).toBeDefined();
    expect(await ledger.store.renew(system, [held], LEASE_MS)).toEqual([]);
    expect(await ledger.row(session)).toMatchObject({ lease_owner: 'n9', lease_token: 2 });
  });

  it('works off everything once, in order, while more is accepted', async () => {
    const { session, run: first, held: taken } = await ledger.working('first');
    const more = Array.from({ length: 30 }, (_, i) => input(session, `${i}`));
    const accepting = Promise.all(more.map((it) => ledger.queue(it, { store: ledger.other })));
    const done: string[] = [];
    let held = taken;
    let run: { run_id: string; reply_id: string; last_seq: number } | null = { ...first, last_seq: 1 };
    while (done.length <= more.length) {
      while (run) {
        done.push(run.run_id);
        const ended = await ledger.store.finish(held, finishOf(run, run.last_seq + 3));
        run = ended.outcome === 'pending' ? ((await ledger.store.next(held))?.run ?? null) : null;
      }
      const [claim] = await ledger.claim();
      if (claim) [held, run] = [claim.lease, claim.run];
    }
    await accepting;
    expect(done).toHaveLength(31);
    expect(new Set(done)).toEqual(new Set([first, ...more].map((it) => it.run_id)));
    expect(await ledger.row(session)).toMatchObject({ lease_owner: null, pending: 0 });
    const transcript = await ledger.transcript(session);
    expect(transcript.map((it) => it.role)).toEqual([first, ...more].flatMap(() => ['user', 'assistant']));
  });
});
