import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { finishOf, input, Ledger } from './run-store-support.js';

let ledger: Ledger;

beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

describe('a claim', () => {
  it('finds the other sessions of a tenant behind one with a long queue', async () => {
    const long = await ledger.newSession();
    for (let n = 0; n < 20; n++) await ledger.queue(input(long, `${n}`));
    const others = await Promise.all([1, 2, 3].map(() => ledger.newSession()));
    for (const session of others) await ledger.queue(input(session, 'one'));
    const claimed = await ledger.claim({ limit: 16 });
    expect(claimed.map((claim) => claim.lease.session_id)).toEqual([long, ...others]);
  });

  it('counts signals anew, so that a wrong count heals instead of keeping the session busy', async () => {
    const { session, run } = await ledger.parked('c1');
    await ledger.sql('UPDATE session_leases SET signals = 7 WHERE session_id = $1', [session]);
    await ledger.stop(session);
    const [claim] = await ledger.claim();
    expect(claim).toMatchObject({ kind: 'resumed', run: { run_id: run.run_id, stop: 'interrupt' } });
    expect(await ledger.row(session)).toMatchObject({ signals: 1 });
    const consumed = claim?.signals.map((signal) => signal.id) ?? [];
    const end = finishOf(run, 9, { status: 'interrupted', consumed });
    expect(await ledger.store.finish(claim!.lease, end)).toEqual({ outcome: 'released' });
  });
});
