import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { confirmationOf } from './run-store-answers.js';
import { alice, finishOf, Ledger, lease, parkOf, system } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

const statuses = async (session: string) => (await ledger.approvals(session)).map((it) => it.status);

/** A session whose calls nobody answered in time. */
async function overdue(...calls: string[]) {
  const parked = await ledger.parked(...calls);
  await ledger.sql(`UPDATE approvals SET expires_at = now() - interval '1 second' WHERE session_id = $1`, [
    parked.session,
  ]);
  return parked;
}

const ref = (session_id: string) => ({ tenant_id: 'acme', session_id });

describe('expireApprovals', () => {
  it('turns down what is overdue, and the run goes on', async () => {
    const { session, run } = await overdue('ask1', 'c1');
    const { session: other } = await ledger.parked('ask1');
    expect(await ledger.store.expireApprovals(system, 10)).toEqual([ref(session)]);
    expect(await statuses(session)).toEqual(['expired', 'expired']);
    expect((await ledger.approvals(session))[0]).toMatchObject({ decided_by: null, decided_at: expect.any(Date) });
    expect(await statuses(other)).toEqual(['pending']);
    const claim = await ledger.claimOf(session);
    expect(claim).toMatchObject({ kind: 'resumed', run: { run_id: run.run_id, open_calls: [] } });
    expect(claim?.signals).toMatchObject([{ kind: 'answer', payload: { cause: 'expired', decided_by: null } }]);
    expect(claim?.signals[0]?.payload).toMatchObject({
      confirmations: [{ tool_call_id: 'ask1', confirmed: false, comment: null }],
      results: [{ id: 'c1', state: 'error', output: [{ text: expect.stringContaining('in time') }] }],
    });
    expect(await ledger.store.expireApprovals(system, 10)).toEqual([]);
    const late = confirmationOf(run, ['ask1'], { confirmed: false });
    expect((await ledger.store.answer(alice, session, late)).outcome).toBe('not_awaited');
  });

  it('leaves calls of the same run that are not overdue', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.park(held, parkOf(run, 5, ['ask1'], { approval_ttl_ms: 1 }));
    await ledger.sql(`UPDATE approvals SET expires_at = now() - interval '1 second'`);
    await ledger.stop(session, 'interrupt', run.run_id);
    expect(await ledger.store.expireApprovals(system, 10)).toEqual([]);
    const { session: two } = await ledger.parked('ask1', 'ask2');
    await ledger.sql(`UPDATE approvals SET expires_at = now() WHERE session_id = $1 AND tool_call_id = 'ask2'`, [two]);
    expect(await ledger.store.expireApprovals(system, 10)).toEqual([ref(two)]);
    expect(await statuses(two)).toEqual(['pending', 'expired']);
    expect((await ledger.claimOf(two))?.run).toMatchObject({ open_calls: ['ask1'] });
  });

  it('goes on with the others when one session cannot be brought on', async () => {
    const { session: broken, run } = await overdue('ask1');
    const { session } = await overdue('ask1');
    await ledger.sql(`UPDATE runs SET open_calls = '1' WHERE id = $1`, [run.run_id]);
    expect(await ledger.store.expireApprovals(system, 10)).toEqual([ref(session)]);
    expect(await statuses(broken)).toEqual(['pending']);
    await expect(ledger.store.expireApprovals(system, 10)).rejects.toThrow('scalar');
  });

  it('takes so many sessions at once, the oldest first', async () => {
    const sessions: string[] = [];
    for (let n = 3; n > 0; n--) {
      const { session } = await ledger.parked('ask1');
      sessions.push(session);
      const since = `expires_at = now() - $2 * interval '1 minute'`;
      await ledger.sql(`UPDATE approvals SET ${since} WHERE session_id = $1`, [session, n]);
    }
    const found = [
      ...(await ledger.store.expireApprovals(system, 2)),
      ...(await ledger.other.expireApprovals(system, 2)),
    ];
    expect(found.map((it) => it.session_id)).toEqual(sessions);
  });

  it('voids what no run waits for any more instead of finding it for ever', async () => {
    const { session, run } = await overdue('ask1');
    await ledger.sql(`UPDATE runs SET status = 'failed', open_calls = NULL WHERE id = $1`, [run.run_id]);
    expect(await ledger.store.expireApprovals(system, 10)).toEqual([]);
    expect(await statuses(session)).toEqual(['voided']);
    expect(await ledger.row(session)).toMatchObject({ signals: 0 });
  });

  it('does not look at sessions that were deleted', async () => {
    const { session } = await overdue('ask1');
    await ledger.sessions.delete(alice, { id: session });
    expect(await ledger.store.expireApprovals(system, 10)).toEqual([]);
  });
});

describe('at once', () => {
  it('two expiries: one turns it down', async () => {
    const { session } = await overdue('ask1');
    const found = await ledger.inTurn(
      session,
      () => ledger.store.expireApprovals(system, 10),
      () => ledger.other.expireApprovals(system, 10),
    );
    expect(found).toEqual([[ref(session)], []]);
    expect(await ledger.inputs(session)).toHaveLength(1);
    expect(await ledger.row(session)).toMatchObject({ signals: 1 });
  });

  it('answer first: nothing expires', async () => {
    const { session, run } = await overdue('ask1');
    const [answered, found] = await ledger.inTurn(
      session,
      () => ledger.store.answer(alice, session, confirmationOf(run, ['ask1'])),
      () => ledger.other.expireApprovals(system, 10),
    );
    expect([answered.outcome, found]).toEqual(['resumed', []]);
    expect(await statuses(session)).toEqual(['approved']);
  });

  it('expiry first: the answer is not awaited', async () => {
    const { session, run } = await overdue('ask1');
    const [found, answered] = await ledger.inTurn(
      session,
      () => ledger.other.expireApprovals(system, 10),
      () => ledger.store.answer(alice, session, confirmationOf(run, ['ask1'])),
    );
    expect([found, answered.outcome]).toEqual([[ref(session)], 'not_awaited']);
    expect(await ledger.inputs(session)).toHaveLength(1);
  });

  it('a stop first: nothing expires; a stop behind it ends the run all the same', async () => {
    const { session, run } = await overdue('ask1');
    const [, found] = await ledger.inTurn(
      session,
      () => ledger.stop(session),
      () => ledger.other.expireApprovals(system, 10),
    );
    expect([found, await statuses(session)]).toEqual([[], ['voided']]);
    const { session: two } = await overdue('ask1');
    await ledger.inTurn(
      two,
      () => ledger.other.expireApprovals(system, 10),
      () => ledger.stop(two),
    );
    expect(await statuses(two)).toEqual(['expired']);
    expect(await ledger.claimOf(two)).toMatchObject({ kind: 'resumed', run: { stop: 'interrupt' } });
    expect((await ledger.run(run.run_id)).stop_mode).toBe('interrupt');
  });

  it('a deletion first: the session is gone for it', async () => {
    const { session } = await overdue('ask1');
    const [, found] = await ledger.inTurn(
      session,
      () => ledger.sessions.delete(alice, { id: session }),
      () => ledger.other.expireApprovals(system, 10),
    );
    expect(found).toEqual([]);
    expect(await ledger.inputs(session)).toEqual([]);
  });

  it('a run that waits again while it is looked for keeps what it asks', async () => {
    const { session, run } = await overdue('ask1', 'ask2');
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask1']));
    const { lease: held, signals } = (await ledger.claimOf(session))!;
    expect(held).toEqual(lease(session, 2, 'n9'));
    const consumed = signals.map((signal) => signal.id);
    const [parked, found] = await ledger.inTurn(
      session,
      () => ledger.store.park(held, parkOf(run, 8, ['ask2', 'ask3'], { consumed, known_calls: ['ask2'] })),
      () => ledger.other.expireApprovals(system, 10),
    );
    expect([parked, found]).toEqual([{ outcome: 'released' }, [ref(session)]]);
    expect(await statuses(session)).toEqual(['approved', 'expired', 'pending']);
    expect(await ledger.run(run.run_id)).toMatchObject({ open_calls: [{ tool_call_id: 'ask3' }] });
    const claim = (await ledger.claimOf(session))!;
    const rest = claim.signals.map((signal) => signal.id);
    await ledger.store.finish(claim.lease, finishOf(run, 20, { consumed: rest, voids: true }));
    expect(await ledger.inputs(session)).toEqual([]);
  });
});
