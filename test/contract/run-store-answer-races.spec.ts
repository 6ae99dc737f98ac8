import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { Database, Sql } from '../../src/platform/database/database.js';
import { RunPgStore } from '../../src/runs/pg/run.pg-store.js';
import { answerOf, confirmationOf } from './run-store-answers.js';
import { alice, checkpointOf, finishOf, Ledger, lease, parkOf } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

const statuses = async (session: string) => (await ledger.approvals(session)).map((it) => it.status);

const allow = (rule_content: string) => ({
  tool_name: 'ask',
  rule_content,
  behavior: 'allow' as const,
  source: 'confirmation',
});

describe('two answers at once', () => {
  it('that are the same: one wins, the other hears the same', async () => {
    const { session, run } = await ledger.parked('ask1', 'c1');
    const both = { ...confirmationOf(run, ['ask1'], { rules: [allow('a')] }), results: answerOf(run, 'c1').results };
    const again = { ...both, results: answerOf(run, 'c1').results };
    const { run_id } = run;
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.store.answer(alice, session, both),
      () => ledger.other.answer(alice, session, again),
    );
    expect(outcomes).toEqual([
      { outcome: 'resumed', run_id },
      { outcome: 'repeated', run_id },
    ]);
    expect(await ledger.inputs(session)).toHaveLength(1);
    expect(await ledger.row(session)).toMatchObject({ signals: 1 });
    expect(await ledger.sessions.get(alice, session)).toMatchObject({ version: 1 });
  });

  it('that differ: the first one stands', async () => {
    const { session, run } = await ledger.parked('ask1');
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.store.answer(alice, session, confirmationOf(run, ['ask1'], { confirmed: false })),
      () => ledger.other.answer(alice, session, confirmationOf(run, ['ask1'])),
    );
    expect(outcomes.map((it) => it.outcome)).toEqual(['resumed', 'not_awaited']);
    expect(await statuses(session)).toEqual(['rejected']);
  });

  it('that grant rules beside a change of the configuration: none is lost', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2');
    const change = (name: string) => ledger.sessions.update(alice, session, (config) => ({ ...config, name }));
    await Promise.all([
      ledger.store.answer(alice, session, confirmationOf(run, ['ask1'], { rules: [allow('a')] })),
      ledger.other.answer(alice, session, confirmationOf(run, ['ask2'], { rules: [allow('b')] })),
      change('renamed'),
    ]);
    const record = await ledger.sessions.get(alice, session);
    expect(record).toMatchObject({ version: 3, config: { name: 'renamed' } });
    expect(record?.config.permission_rules.map((it) => it.rule_content).sort()).toEqual(['a', 'b']);
  });

  it('and a message that turns the calls down: one of them', async () => {
    const times = { created_at: '2026-11-21T10:00:00.000Z', finished_at: null };
    const hint = { type: 'hint' as const, id: 'm', hint: 'No', source: null, ...times };
    const { session, run } = await ledger.parked('ask1');
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.store.answer(alice, session, confirmationOf(run, ['ask1'])),
      () => ledger.other.turnDown(alice, session, hint),
    );
    expect(outcomes.map((it) => it.outcome)).toEqual(['resumed', 'idle']);
    const { session: two, run: other } = await ledger.parked('ask1');
    const turned = await ledger.inTurn(
      two,
      () => ledger.other.turnDown(alice, two, hint),
      () => ledger.store.answer(alice, two, confirmationOf(other, ['ask1'])),
    );
    expect(turned.map((it) => it.outcome)).toEqual(['resumed', 'not_awaited']);
  });
});

describe('an answer and', () => {
  it('a stop before it: it is not awaited', async () => {
    const { session, run } = await ledger.parked('ask1');
    const [, answered] = await ledger.inTurn(
      session,
      () => ledger.stop(session),
      () => ledger.other.answer(alice, session, confirmationOf(run, ['ask1'], { rules: [allow('a')] })),
    );
    expect(answered).toEqual({ outcome: 'not_awaited', tool_call_ids: ['ask1'] });
    expect(await statuses(session)).toEqual(['voided']);
    expect(await ledger.sessions.get(alice, session)).toMatchObject({ version: 0 });
  });

  it('a stop behind it: the run is resumed to be ended', async () => {
    const { session, run } = await ledger.parked('ask1');
    await ledger.inTurn(
      session,
      () => ledger.other.answer(alice, session, confirmationOf(run, ['ask1'])),
      () => ledger.stop(session),
    );
    expect(await statuses(session)).toEqual(['approved']);
    const claim = await ledger.claimOf(session);
    expect(claim?.signals.map((signal) => signal.kind)).toEqual(['answer', 'stop']);
  });

  it('a deletion before it: the session is gone', async () => {
    const { session, run } = await ledger.parked('ask1');
    const [, answered] = await ledger.inTurn(
      session,
      () => ledger.sessions.delete(alice, { id: session }),
      () => ledger.other.answer(alice, session, confirmationOf(run, ['ask1'], { rules: [allow('a')] })),
    );
    expect(answered).toEqual({ outcome: 'gone' });
    expect(await statuses(session)).toEqual(['pending']);
  });

  it('a deletion behind it: neither waits for the other for ever', async () => {
    const { session, run } = await ledger.parked('ask1');
    const [answered, deleted] = await ledger.inTurn(
      session,
      () => ledger.other.answer(alice, session, confirmationOf(run, ['ask1'], { rules: [allow('a')] })),
      () => ledger.sessions.delete(alice, { id: session }),
    );
    expect([answered.outcome, deleted.length]).toEqual(['resumed', 1]);
    expect(await ledger.claim()).toEqual([]);
    await ledger.sessions.purge({ kind: 'system', purpose: 'test' }, 10);
    expect([await ledger.approvals(session), await ledger.inputs(session)]).toEqual([[], []]);
  });

  it('a run that parks again: what it asked before is taken, what it asks now is open', async () => {
    const { session, run } = await ledger.parked('ask1', 'ask2');
    await ledger.store.answer(alice, session, confirmationOf(run, ['ask1']));
    const { lease: held, signals } = (await ledger.claimOf(session))!;
    const consumed = signals.map((signal) => signal.id);
    const [answered, parked] = await ledger.inTurn(
      session,
      () => ledger.other.answer(alice, session, confirmationOf(run, ['ask2'])),
      () => ledger.store.park(held, parkOf(run, 8, ['ask2', 'ask3'], { consumed, known_calls: ['ask2'] })),
    );
    expect([answered.outcome, parked.outcome]).toEqual(['resumed', 'pending']);
    expect(await statuses(session)).toEqual(['approved', 'approved', 'pending']);
    expect(await ledger.run(run.run_id)).toMatchObject({ open_calls: [{ tool_call_id: 'ask3' }] });
  });
});

it('sessions that are deleted while their holders write what they remember: nobody gets in the way of anybody', async () => {
  const { EMPTY_STATE: state } = await import('../../src/core/state/session-state.js');
  for (let round = 0; round < 15; round++) {
    const all = await Promise.all(Array.from({ length: 6 }, () => ledger.working()));
    const writes = all.map(({ run, held }, n) =>
      ledger.store.checkpoint(held, checkpointOf(run, 3 + n, { state, state_before: state })),
    );
    const deletions = all.map(({ session }) => ledger.sessions.delete(alice, { id: session }));
    const outcomes = (await Promise.all(writes)).map((it) => it.outcome);
    expect(outcomes.every((it) => it === 'held' || it === 'fenced')).toBe(true);
    expect((await Promise.all(deletions)).flat()).toHaveLength(6);
  }
});

describe('an answer of the database that is lost', () => {
  /** A store whose connection breaks once, right after the transaction with a statement of this name. */
  function forgetful(statement: string): RunPgStore {
    let left = 1;
    const failure = () => Object.assign(new Error('Connection terminated unexpectedly'), { code: 'ECONNRESET' });
    const database = Object.create(ledger.database, {
      run: {
        value: async (name: string, text: string, values: readonly unknown[]) => {
          const rows = await ledger.database.run(name, text, values);
          if (name === statement && left-- > 0) throw failure();
          return rows;
        },
      },
      transaction: {
        value: async <T>(work: (sql: Sql) => Promise<T>) => {
          let said = false;
          const result = await ledger.database.transaction((sql) =>
            work({
              run: (name, text, values) => {
                said ||= name === statement;
                return sql.run(name, text, values);
              },
            }),
          );
          if (said && left-- > 0) throw failure();
          return result;
        },
      },
    }) as Database;
    return new RunPgStore(database);
  }

  it('of an answer: said again it is the same one', async () => {
    const { session, run } = await ledger.parked('ask1');
    const store = forgetful('approval-settle');
    const yes = confirmationOf(run, ['ask1'], { rules: [allow('a')] });
    await expect(store.answer(alice, session, yes)).rejects.toThrow('Connection terminated');
    expect(await store.answer(alice, session, yes)).toEqual({ outcome: 'repeated', run_id: run.run_id });
    expect(await ledger.inputs(session)).toHaveLength(1);
    expect(await ledger.sessions.get(alice, session)).toMatchObject({ version: 1 });
  });

  it('of a park: the calls are asked about once', async () => {
    const { session, run, held } = await ledger.working();
    const store = forgetful('run-write');
    const park = parkOf(run, 7, ['ask1', 'c1']);
    await expect(store.park(held, park)).rejects.toThrow('Connection terminated');
    expect(await store.park(held, park)).toEqual({ outcome: 'released' });
    expect(await statuses(session)).toEqual(['pending', 'pending']);
  });

  it('of a hint and of waking: the hint waits once, the run is made once', async () => {
    const session = await ledger.newSession();
    const hint = { id: '01a1ff96-81cd-7439-b9a3-de295642689b', hint: 'Look', source: null };
    const store = forgetful('run-hint');
    await expect(store.deliverHint(alice, session, hint)).rejects.toThrow('Connection terminated');
    expect(await store.deliverHint(alice, session, hint)).toBe('delivered');
    expect(await ledger.row(session)).toMatchObject({ hints: 1 });
    const { lease: held } = (await ledger.claimOf(session))!;
    const { run_id, reply_id } = finishOf({ run_id: held.session_id, reply_id: held.session_id }, 1).step;
    const waker = forgetful('run-wake');
    await expect(waker.wake(held, { run_id, reply_id })).rejects.toThrow('Connection terminated');
    expect(await waker.wake(held, { run_id, reply_id })).toMatchObject({ kind: 'next', run: { run_id, attempt: 1 } });
    expect(await ledger.statuses(session)).toEqual(['running']);
    expect(await waker.wake(lease(session, 7), { run_id, reply_id })).toBeNull();
  });
});
