import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Database } from '../../src/platform/database/database.js';
import { RunPgStore } from '../../src/runs/pg/run.pg-store.js';
import { finishOf, input, Ledger, lease, parkOf } from './run-store-support.js';

let ledger: Ledger;

beforeAll(async () => {
  ledger = await Ledger.open();
});
afterAll(() => ledger.close());

/** A store whose connection breaks each time right after the next statement of this name was carried out. */
function forgetful(statement: string, times = 1, meanwhile?: () => Promise<unknown>): RunPgStore {
  let left = times;
  const database = Object.create(ledger.database, {
    run: {
      value: async (name: string, text: string, values: readonly unknown[]) => {
        const rows = await ledger.database.run(name, text, values);
        if (name !== statement || left-- <= 0) return rows;
        await meanwhile?.();
        throw Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
      },
    },
  }) as Database;
  return new RunPgStore(database);
}

describe('an answer of the database that is lost', () => {
  it('of an input that was taken: it is taken once, by the same lease', async () => {
    const session = await ledger.newSession();
    const accepted = await ledger.accept(input(session, 'a', 'b'), { store: forgetful('run-accept') });
    expect(accepted).toEqual({ outcome: 'taken', token: 1, last_seq: 2, state: {} });
    expect(await ledger.statuses(session)).toEqual(['running']);
    expect(await ledger.row(session)).toMatchObject({ pending: 0, lease_token: 1, lease_owner: 'n1' });
  });

  it('of an input that was queued: it is queued once', async () => {
    const session = await ledger.newSession();
    const store = forgetful('run-accept');
    expect(await ledger.queue(input(session, 'a'), { store })).toEqual({ outcome: 'queued' });
    expect(await ledger.row(session)).toMatchObject({ pending: 1, lease_owner: null });
    expect(await ledger.statuses(session)).toEqual(['queued']);
  });

  it('of an input that was queued and claimed meanwhile: whoever claimed it has it, this process too', async () => {
    const session = await ledger.newSession();
    const store = forgetful('run-accept', 1, () => ledger.claim({ owner: 'n1' }));
    expect(await ledger.queue(input(session, 'a'), { store })).toEqual({ outcome: 'queued' });
    expect(await ledger.row(session)).toMatchObject({ pending: 0, lease_token: 1, lease_owner: 'n1' });
  });

  it('of an input without a message: the run is accepted', async () => {
    const session = await ledger.newSession();
    const accepted = await ledger.accept(input(session), { store: forgetful('run-accept') });
    expect(accepted).toEqual({ outcome: 'taken', token: 1, last_seq: 0, state: {} });
  });

  it('of an input that was refused: it is refused again', async () => {
    const { session } = await ledger.working();
    const refused = { ...input(session, 'b'), on_busy: 'reject' as const };
    expect(await ledger.accept(refused, { store: forgetful('run-accept') })).toMatchObject({ outcome: 'busy' });
    expect(await ledger.statuses(session)).toEqual(['running']);
  });

  it.each(['released', 'pending'])('of the end of a run: repeated, it is %s, and ended once', async (outcome) => {
    const { session, run, held } = await ledger.working();
    if (outcome === 'pending') await ledger.queue(input(session, 'next'));
    const store = forgetful('run-write');
    const end = finishOf(run, 9);
    await expect(store.finish(held, end)).rejects.toThrow('Connection terminated');
    expect(await store.finish(held, end)).toEqual({ outcome });
    expect(await ledger.statuses(session)).toEqual(outcome === 'pending' ? ['completed', 'queued'] : ['completed']);
    expect(await ledger.transcript(session)).toHaveLength(2);
  });

  it('of a park: the run waits once, and its calls are open', async () => {
    const { session, run, held } = await ledger.working();
    const store = forgetful('run-write');
    await expect(store.park(held, parkOf(run, 7, ['c1']))).rejects.toThrow('Connection terminated');
    expect(await store.park(held, parkOf(run, 7, ['c1']))).toEqual({ outcome: 'released' });
    expect(await ledger.statuses(session)).toEqual(['waiting']);
    expect(await ledger.answer(session, run, 'c1')).toMatchObject({ outcome: 'resumed' });
  });

  it('of a write of a holder that was fenced meanwhile: it is fenced', async () => {
    const { session, run, held } = await ledger.working();
    const stranger = { ...lease(session, held.token + 1) };
    expect(await forgetful('run-write', 0).finish(stranger, finishOf(run, 9))).toEqual({ outcome: 'fenced' });
    expect(await ledger.statuses(session)).toEqual(['running']);
  });
});

describe('an answer of the database that does not come', () => {
  it('is given up in time, and so is its connection; what comes after is answered', async () => {
    const { database } = ledger;
    await expect(database.run('test-sleep', 'SELECT pg_sleep(60)', [], 200)).rejects.toThrow('timeout');
    await expect(
      database.transaction(async (sql) => {
        await sql.run('test-sleep-on', 'SELECT pg_sleep(60)', [], 200);
      }),
    ).rejects.toThrow('timeout');
    const all = Array.from({ length: 20 }, () => database.run<{ one: number }>('test-one', 'SELECT 1 AS one', []));
    expect((await Promise.all(all)).flat()).toEqual(all.map(() => ({ one: 1 })));
  });
});
