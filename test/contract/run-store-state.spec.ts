import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { EMPTY_STATE, type SessionState } from '../../src/core/state/session-state.js';
import { parkOf, alice, checkpointOf, finishOf, input, Ledger } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

const stateOf = (compressions: number): SessionState => ({
  ...EMPTY_STATE,
  window_context: { ...EMPTY_STATE.window_context, compressions },
});

const changed = (to: number) => ({ state: stateOf(to), state_before: EMPTY_STATE });

describe('what a session remembers', () => {
  it('is written with steps and with the end of a run, and comes with what is taken next', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.checkpoint(held, checkpointOf(run, 3, changed(1)));
    expect(await ledger.state(session)).toEqual(stateOf(1));
    expect(await ledger.run(run.run_id)).toMatchObject({ state_before: EMPTY_STATE });
    await ledger.store.checkpoint(held, checkpointOf(run, 4, { step: 1 }));
    expect(await ledger.state(session)).toEqual(stateOf(1));
    await ledger.store.finish(held, finishOf(run, 5, { state: stateOf(2), state_before: stateOf(1) }));
    expect(await ledger.run(run.run_id)).toMatchObject({ state_before: EMPTY_STATE });
    expect(await ledger.accept(input(session, 'b'))).toMatchObject({ outcome: 'taken', state: stateOf(2) });
  });

  it('is no part of the configuration: neither its version nor its time changes', async () => {
    const { session, run, held } = await ledger.working();
    const before = await ledger.sessions.get(alice, session);
    await ledger.store.finish(held, finishOf(run, 5, changed(1)));
    const after = await ledger.sessions.get(alice, session);
    expect([after?.version, after?.updated_at]).toEqual([before?.version, before?.updated_at]);
    expect((await ledger.accept(input(session, 'b'))).outcome).toBe('taken');
  });

  it('is what the last holder wrote, for input that waited for its lease', async () => {
    const { session, run, held } = await ledger.working();
    const [, accepted] = await ledger.inTurn(
      session,
      () => ledger.store.finish(held, finishOf(run, 5, changed(7))),
      () => ledger.accept(input(session, 'b'), { owner: 'n2', store: ledger.other }),
    );
    expect(accepted).toMatchObject({ outcome: 'taken', state: stateOf(7) });
  });

  it('comes with a claim, and what it was before the run, whoever changed it', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.park(held, parkOf(run, 5, ['c1'], changed(1)));
    await ledger.answer(session, run, 'c1');
    const first = await ledger.claimOf(session);
    expect(first?.run).toMatchObject({ state: stateOf(1), state_before: EMPTY_STATE });
    await ledger.expire(session);
    const second = await ledger.claimOf(session);
    expect(second).toMatchObject({ kind: 'abandoned', run: { state: stateOf(1), state_before: EMPTY_STATE } });
    expect(await ledger.store.next(second!.lease)).toMatchObject({ run: { state: stateOf(1) } });
  });

  it('of a holder that was fenced is not written', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.expire(session);
    await ledger.claimOf(session);
    expect(await ledger.store.checkpoint(held, checkpointOf(run, 3, changed(1)))).toEqual({ outcome: 'fenced' });
    expect(await ledger.state(session)).toEqual({});
    expect(await ledger.run(run.run_id)).toMatchObject({ state_before: null });
  });

  it('goes back with a reply that is rolled back, to where its run began', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.finish(held, finishOf(run, 4, changed(1)));
    const second = input(session, 'b');
    await ledger.accept(second);
    const now = { ...held, token: 2 };
    await ledger.store.checkpoint(now, checkpointOf(second, 6, { state: stateOf(2), state_before: stateOf(1) }));
    await ledger.stop(session, 'rollback');
    const end = finishOf(second, 9, { status: 'interrupted', state: stateOf(3), state_before: stateOf(1) });
    expect(await ledger.store.finish(now, end)).toEqual({ outcome: 'stopped', mode: 'rollback' });
    expect(await ledger.state(session)).toEqual(stateOf(2));
    expect(await ledger.store.finish(now, { ...end, remove: true })).toEqual({ outcome: 'released' });
    expect(await ledger.state(session)).toEqual(stateOf(1));
  });

  it('stays when the reply that is rolled back had written none', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.finish(held, finishOf(run, 4, changed(1)));
    const second = input(session, 'b');
    await ledger.accept(second);
    await ledger.stop(session, 'rollback');
    const end = { status: 'interrupted' as const, remove: true, state: stateOf(2), state_before: stateOf(1) };
    await ledger.store.finish({ ...held, token: 2 }, finishOf(second, 9, end));
    expect(await ledger.state(session)).toEqual(stateOf(1));
  });

  it('of many sessions is written by one statement, each its own', async () => {
    const all = await Promise.all(Array.from({ length: 12 }, () => ledger.working()));
    await Promise.all(
      all.map(({ run, held }, n) => {
        const rest = n % 3 === 0 ? {} : { state: stateOf(n), state_before: EMPTY_STATE };
        return n % 2
          ? ledger.store.checkpoint(held, checkpointOf(run, 5, rest))
          : ledger.store.finish(held, finishOf(run, 5, rest));
      }),
    );
    const states = await Promise.all(all.map(({ session }) => ledger.state(session)));
    expect(states).toEqual(all.map((_, n) => (n % 3 === 0 ? {} : stateOf(n))));
    const saved = await Promise.all(all.map(async ({ run }) => (await ledger.run(run.run_id)).state_before));
    expect(saved).toEqual(all.map((_, n) => (n % 3 === 0 ? null : EMPTY_STATE)));
  });
});

describe('what a reply is to end with', () => {
  const structured_schema = { type: 'object', properties: { a: { type: 'string' } } };

  it('stays with the run from its acceptance on', async () => {
    const session = await ledger.newSession();
    await ledger.queue({ ...input(session, 'a'), structured_schema });
    const claim = await ledger.claimOf(session);
    expect(claim?.run).toMatchObject({ structured_schema });
    await ledger.store.handOver(claim!.lease, claim!.run!.run_id, 3);
    expect((await ledger.claimOf(session))?.run).toMatchObject({ structured_schema });
  });

  it('is that of the first message when several become one turn', async () => {
    const session = await ledger.newSession();
    const first = { ...input(session, 'a'), coalesce_ms: 60_000 };
    await ledger.queue(first);
    expect(await ledger.queue({ ...input(session, 'b'), structured_schema })).toMatchObject({ outcome: 'joined' });
    await ledger.closeWindow(session);
    expect((await ledger.claimOf(session))?.run).toMatchObject({ run_id: first.run_id, structured_schema: null });
  });
});
