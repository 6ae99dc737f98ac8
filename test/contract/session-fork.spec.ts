import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Principal } from '../../src/auth/principal.js';
import { interruptedCopy } from '../../src/core/agent/interrupted-copy.js';
import { EMPTY_STATE, type SessionState } from '../../src/core/state/session-state.js';
import { OffloadPgStore } from '../../src/offloads/offload.pg-store.js';
import { newId } from '../../src/platform/ids.js';
import type { NewFork } from '../../src/sessions/session.store.js';
import { SessionTypeormStore } from '../../src/sessions/session.typeorm-store.js';
import { alice, ids, input, Ledger, message } from './run-store-support.js';
import { AT, call, counted, record, recordMany, reply, text } from './session-support.js';

const NOW = '2026-02-02T00:00:00.000Z';
const COPY_MS = 5000;

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
afterAll(() => ledger.close());
beforeEach(() => ledger.clear());

const forkOf = (rest: Partial<NewFork> = {}): NewFork => ({
  id: newId(),
  external_id: null,
  name: 'copy',
  close: (open) => interruptedCopy(open, NOW),
  ...rest,
});

/** Copies the session and gives the id of the copy. */
async function fork(session: string, rest: Partial<NewFork> = {}): Promise<string> {
  const given = forkOf(rest);
  expect(await ledger.sessions.fork(alice, session, given)).toBe('forked');
  return given.id;
}

/** u1, r2 (two steps), u3, r4. */
async function talked(): Promise<string> {
  const session = await ledger.newSession();
  await record(ledger, session, 1, { ...message('one'), id: 'u1' });
  await record(ledger, session, 2, reply('r2', null, text('a', 'first')));
  await record(ledger, session, 2, reply('r2', AT, text('b', 'second')), 1);
  await record(ledger, session, 6, { ...message('two'), id: 'u3' });
  await record(ledger, session, 7, reply('r4', AT, text('c', 'third')));
  return session;
}

const count = async (table: string): Promise<unknown> =>
  (await ledger.sql(`SELECT count(*)::int AS n FROM ${table}`))[0]?.['n'];

describe('a fork', () => {
  it('has the configuration, the state and the transcript, and numbers on from there', async () => {
    const session = await talked();
    const marks = JSON.stringify({ metadata: { env: 'prod' }, permission_mode: 'explore' });
    await ledger.sql(`UPDATE sessions SET config = config || $2, state = $3 WHERE id = $1`, [
      session,
      marks,
      '{"tasks_context": {"tasks": []}, "later": 1}',
    ]);
    await ledger.sql('UPDATE session_leases SET last_seq = 20 WHERE session_id = $1', [session]);
    const copy = await fork(session, { external_id: 'mine' });
    const [source, made] = await Promise.all([ledger.sessions.get(alice, session), ledger.sessions.get(alice, 'mine')]);
    expect(made).toMatchObject({
      id: copy,
      agent_id: source?.agent_id,
      source: 'user',
      config: { ...source?.config, name: 'copy' },
      forked_from: { session_id: session, message_id: 'r4' },
      is_running: false,
      last_seq: 20,
      reply_seq: 20,
    });
    expect(await ledger.transcript(copy)).toEqual(await ledger.transcript(session));
    const [row] = await ledger.sql('SELECT state FROM sessions WHERE id = $1', [copy]);
    expect(row?.['state']).toEqual({ tasks_context: { tasks: [] }, later: 1 });
    expect(await ledger.sessions.get(alice, session)).toEqual(source);
  });

  it('goes on by itself: what is said to it stands behind what was copied', async () => {
    const session = await talked();
    const copy = await fork(session);
    const run = input(copy, 'three');
    expect(await ledger.accept(run)).toMatchObject({ outcome: 'taken' });
    const before = ['u1', 'r2', 'u3', 'r4'];
    expect(ids(await ledger.transcript(copy))).toEqual([...before, ...ids(run.messages)]);
    expect(ids(await ledger.transcript(session))).toEqual(before);
  });

  it.each([
    ['u1', ['u1']],
    ['r2', ['u1', 'r2']],
    ['u3', ['u1', 'r2', 'u3']],
  ])('ends with message %s', async (message_id, expected) => {
    const session = await talked();
    const copy = await fork(session, { message_id });
    expect(await ledger.transcript(copy)).toEqual((await ledger.transcript(session)).slice(0, expected.length));
    expect(ids(await ledger.transcript(copy))).toEqual(expected);
    expect((await ledger.sessions.get(alice, copy))?.forked_from).toEqual({ session_id: session, message_id });
  });

  it('of a session in which nothing was said is as empty', async () => {
    const session = await ledger.newSession();
    const copy = await fork(session);
    expect(await ledger.transcript(copy)).toEqual([]);
    expect((await ledger.sessions.get(alice, copy))?.forked_from).toEqual({ session_id: session, message_id: null });
  });

  it('leaves nothing behind when it cannot be made', async () => {
    const session = await talked();
    await fork(session, { external_id: 'taken' });
    const before = [await count('sessions'), await count('session_leases'), await count('messages')];
    const refusal = (id: string, rest: Partial<NewFork>, as = alice) => ledger.sessions.fork(as, id, forkOf(rest));
    expect(await refusal(session, { message_id: 'nobody' })).toBe('no_message');
    expect(await refusal(session, { external_id: 'taken' })).toBe('name_taken');
    expect(await refusal(newId(), {})).toBe('no_session');
    expect(await refusal(session, {}, new Principal('acme', 'bob'))).toBe('no_session');
    expect(await refusal(session, {}, new Principal('elsewhere', 'alice'))).toBe('no_session');
    const failing = forkOf({
      close: () => {
        throw new Error('broken');
      },
    });
    await record(ledger, session, 9, reply('r5', null));
    await expect(ledger.sessions.fork(alice, session, failing)).rejects.toThrow('broken');
    expect([await count('sessions'), await count('session_leases'), Number(await count('messages')) - 1]).toEqual(
      before,
    );
  });

  it('holds an open reply as an interrupt would leave it; the session keeps it open', async () => {
    const session = await talked();
    await record(ledger, session, 9, reply('r5', null, text('d', 'hm'), call('x')));
    await record(ledger, session, 9, reply('r5', null, call('y'), text('e', 'unfin', null)), 1);
    await record(ledger, session, 15, { ...message('meanwhile'), id: 'u6' });
    const before = await ledger.transcript(session);
    const copy = await fork(session);
    const expected = before.map((it) => interruptedCopy(it, NOW));
    expect(expected.map((it) => it.finished_reason).at(-2)).toBe('interrupted');
    expect(await ledger.transcript(copy)).toEqual(expected);
    expect(await ledger.transcript(session)).toEqual(before);
    expect(ids(await ledger.transcript(await fork(session, { message_id: 'r4' })))).toEqual(['u1', 'r2', 'u3', 'r4']);
    // What was interrupted in a copy is at rest: it is copied as it is.
    expect(await ledger.transcript(await fork(copy))).toEqual(expected);
  });

  it('takes no part of the work: neither lease, runs and inputs, nor what is queued or was removed', async () => {
    const { session, run, held } = await ledger.working('said');
    await ledger.queue(input(session, 'waits'));
    await record(ledger, session, 8, reply('gone', AT, text('z', 'no')));
    await ledger.sql(`UPDATE messages SET removed_at = now() WHERE reply_id = 'gone'`);
    const copy = await fork(session);
    expect(ids(await ledger.transcript(copy))).toEqual(ids(run.messages));
    expect(await count('messages')).toBe(4);
    expect(await ledger.row(copy)).toMatchObject({
      lease_token: 0,
      lease_owner: null,
      lease_run_id: null,
      pending: 0,
      signals: 0,
    });
    expect(await ledger.sql('SELECT 1 FROM runs WHERE session_id = $1', [copy])).toEqual([]);
    expect(await ledger.inputs(copy)).toEqual([]);
    expect(await ledger.row(session)).toMatchObject({ lease_owner: held.owner, pending: 1 });
    expect(await ledger.sessions.fork(alice, session, forkOf({ message_id: 'gone' }))).toBe('no_message');
  });

  it.each([
    ['is copied', 'r2', 'r2'],
    ['is not copied', 'u3', null],
    ['was removed', 'r9', null],
  ])('begins for the model where the session does, unless that message %s', async (_name, from, kept) => {
    const session = await talked();
    const window_context = { summary: 'so far', from: { message_id: from, block: 1 }, compressions: 2, offloads: 3 };
    const state: SessionState = { ...EMPTY_STATE, tools_context: { groups: { a: true } }, window_context };
    await ledger.sql('UPDATE sessions SET state = $2 WHERE id = $1', [session, state]);
    const copy = await fork(session, { message_id: 'r2' });
    const [row] = await ledger.sql('SELECT state FROM sessions WHERE id = $1', [copy]);
    expect(row?.['state']).toEqual({
      ...state,
      window_context: kept === null ? { ...EMPTY_STATE.window_context, offloads: 3 } : window_context,
    });
  });

  it('has what was put aside of the transcript', async () => {
    const session = await talked();
    const offloads = new OffloadPgStore(ledger.database);
    const content = Buffer.from('a long result');
    const put = (id: string, path: string) =>
      offloads.put(alice, id, { path, media_type: 'text/plain', content }, 1000);
    expect(await put(session, 'tool_result-1.txt')).toBe('stored');
    const copy = await fork(session);
    await put(session, 'later.txt');
    expect(await offloads.read(alice, copy, 'tool_result-1.txt', 0, 100)).toEqual(
      await offloads.read(alice, session, 'tool_result-1.txt', 0, 100),
    );
    expect(await offloads.has(alice, copy, 'later.txt')).toBe(false);
    await ledger.sessions.delete(alice, { id: session });
    expect(await offloads.has(alice, copy, 'tool_result-1.txt')).toBe(true);
  });

  it('of 2,000 messages is a matter of one statement', async () => {
    const session = await ledger.newSession();
    await recordMany(ledger, session, 2000);
    const { database, statements } = counted(ledger.database);
    const store = new SessionTypeormStore(database);
    const given = forkOf();
    const start = performance.now();
    expect(await store.fork(alice, session, given)).toBe('forked');
    expect(performance.now() - start).toBeLessThan(COPY_MS);
    expect(statements).toEqual(['session-fork']);
    const rows =
      'SELECT reply_id, step, position, role, run_id, data, created_at FROM messages WHERE session_id = $1 ORDER BY position, step';
    const copied = await ledger.sql(rows, [given.id]);
    expect(copied).toHaveLength(3000);
    expect(copied).toEqual(await ledger.sql(rows, [session]));
    await record(ledger, session, 3000, reply('open', null, call('c')));
    expect(await store.fork(alice, session, forkOf())).toBe('forked');
    expect(statements).toEqual(['session-fork', 'session-fork', 'session-fork-replies']);
  });
});
