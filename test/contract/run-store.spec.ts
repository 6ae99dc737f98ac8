import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { MIGRATIONS } from '../../migrations/all.js';
import { ENTITIES } from '../../src/aerie.module.js';
import { AgentTypeormStore } from '../../src/agents/agent.typeorm-store.js';
import { CreateAgent } from '../../src/agents/agent.schema.js';
import { Principal, SystemPrincipal } from '../../src/auth/principal.js';
import { acceptInput, InputMsg } from '../../src/core/messages/message.js';
import { Database } from '../../src/platform/database/database.js';
import { migrate } from '../../src/platform/database/database.module.js';
import { newId } from '../../src/platform/ids.js';
import { RunPgStore } from '../../src/runs/run.pg-store.js';
import type { Claim, Finish, Lease, RunInput } from '../../src/runs/run.store.js';
import { SessionTypeormStore } from '../../src/sessions/session.typeorm-store.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

const alice = new Principal('acme', 'alice');
const system = new SystemPrincipal('test');
const LEASE_MS = 60_000;
let files: TestDatabase;
let database: Database;
let store: RunPgStore;
let sessions: SessionTypeormStore;

beforeAll(async () => {
  files = await createTestDatabase();
  database = await Database.connect({
    url: files.url,
    pool: 16,
    application_name: 'test',
    entities: ENTITIES,
    migrations: MIGRATIONS,
  });
  await migrate(database, files.url);
  store = new RunPgStore(database);
  sessions = new SessionTypeormStore(database);
});
afterAll(async () => {
  await database.close();
  await files.drop();
});

async function newSession(): Promise<string> {
  const [agent_id, id] = [newId(), newId()];
  await new AgentTypeormStore(database).create(alice, agent_id, CreateAgent.parse({ name: 'a' }));
  const config = { name: 's', chat_model_config: null, fallback_chat_model_config: null };
  await sessions.create(alice, { id, agent_id, external_id: null, config });
  return id;
}

function input(session_id: string, ...texts: string[]): RunInput {
  const messages = texts.map((content) => acceptInput(InputMsg.parse({ content }), newId, new Date().toISOString()));
  return { session_id, run_id: newId(), reply_id: newId(), messages };
}

const accept = (it: RunInput, owner = 'n1', has_slot = true, max = 1000) =>
  store.accept(alice, it, { owner, has_slot, lease_ms: LEASE_MS }, max);

const lease = (session_id: string, token: number, owner = 'n1'): Lease => ({
  tenant_id: 'acme',
  session_id,
  token,
  owner,
});

function finishOf(run: { run_id: string; reply_id: string }, last_seq: number): Finish {
  const head = acceptInput(InputMsg.parse({ content: 'reply', id: run.reply_id }), newId, new Date().toISOString());
  const { content, ...rest } = head;
  const step = {
    reply_id: run.reply_id,
    run_id: run.run_id,
    step: 0,
    position: last_seq,
    data: { head: { ...rest, role: 'assistant' as const }, content },
  };
  return { run_id: run.run_id, status: 'completed', usage: null, error: null, last_seq, step };
}

async function row(session_id: string): Promise<Record<string, unknown>> {
  const [found] = await database.run('test-lease', 'SELECT * FROM session_leases WHERE session_id = $1', [session_id]);
  return found ?? {};
}

const statuses = (session_id: string) =>
  database
    .run<{ status: string }>('test-runs', 'SELECT status FROM runs WHERE session_id = $1 ORDER BY id', [session_id])
    .then((rows) => rows.map((it) => it.status));

const expire = (session_id: string) =>
  database.run(
    'test-expire',
    `UPDATE session_leases SET lease_expires_at = now() - interval '1 s' WHERE session_id = $1`,
    [session_id],
  );

describe('accept', () => {
  it('takes a free session at once: the messages are in the transcript and numbered', async () => {
    const session = await newSession();
    expect(await accept(input(session, 'a', 'b'))).toEqual({ outcome: 'taken', token: 1, last_seq: 2 });
    const page = await sessions.messages(alice, session, 10);
    expect(page).toMatchObject({ as_of_seq: 2, is_running: true });
    expect(page?.messages).toHaveLength(2);
  });

  it('queues behind a run, without a slot, and behind what is queued; queued messages are not in the transcript yet', async () => {
    const session = await newSession();
    expect(await accept(input(session, 'a'), 'n1', false)).toEqual({ outcome: 'queued' });
    expect(await accept(input(session, 'b'))).toEqual({ outcome: 'queued' });
    expect(await row(session)).toMatchObject({ pending: 2, lease_owner: null, last_seq: 0 });
    expect((await sessions.messages(alice, session, 10))?.messages).toEqual([]);
  });

  it('accepts a message once however often it is sent, taken or queued', async () => {
    const session = await newSession();
    for (const has_slot of [true, false]) {
      const first = input(session, 'x');
      await accept(first, 'n1', has_slot);
      const again = { ...input(session, 'x'), messages: first.messages };
      const status = has_slot ? 'running' : 'queued';
      expect(await accept(again)).toEqual({ outcome: 'duplicate', run_id: first.run_id, status });
    }
    expect(await statuses(session)).toEqual(['running', 'queued']);
    expect(await row(session)).toMatchObject({ pending: 1 });
  });

  it('refuses the id of a reply, a full inbox, an unknown and a foreign session', async () => {
    const session = await newSession();
    const first = input(session, 'x');
    await accept(first);
    await store.finish(lease(session, 1), finishOf(first, 5));
    const clash = input(session, 'y');
    const reply = { ...clash.messages[0]!, id: first.reply_id };
    expect(await accept({ ...clash, messages: [reply] })).toEqual({ outcome: 'id_taken' });
    await accept(input(session, 'z'), 'n1', false, 1);
    expect(await accept(input(session, 'z'), 'n1', true, 1)).toEqual({ outcome: 'full' });
    expect(await accept(input(randomUUID(), 'z'))).toEqual({ outcome: 'gone' });
    const foreign = new Principal('other', 'alice');
    const taker = { owner: 'n', has_slot: true, lease_ms: 1000 };
    expect(await store.accept(foreign, input(session, 'z'), taker, 10)).toEqual({ outcome: 'gone' });
  });

  it('gives a session to one of many that want it at once, and loses none of the others', async () => {
    const session = await newSession();
    const outcomes = await Promise.all(Array.from({ length: 40 }, (_, i) => accept(input(session, `m${i}`), `n${i}`)));
    expect(outcomes.filter((it) => it.outcome === 'taken')).toHaveLength(1);
    expect(await row(session)).toMatchObject({ pending: 39, lease_token: 1 });
  });
});

describe('finish and next', () => {
  it('gives the lease back when nothing waits, and keeps it otherwise', async () => {
    const session = await newSession();
    const [first, second] = [input(session, 'a'), input(session, 'b', 'c')];
    await accept(first);
    await accept(second);
    expect(await store.finish(lease(session, 1), finishOf(first, 9))).toBe('pending');
    const next = await store.next(lease(session, 1));
    expect(next).toMatchObject({ run_id: second.run_id, reply_id: second.reply_id, last_seq: 11 });
    expect(next?.messages.map((it) => it.id)).toEqual(second.messages.map((it) => it.id));
    expect(await row(session)).toMatchObject({ pending: 0, reply_seq: 9, last_seq: 11, lease_run_id: second.run_id });
    expect(await store.finish(lease(session, 1), finishOf(second, 15))).toBe('released');
    expect(await row(session)).toMatchObject({ lease_owner: null, lease_run_id: null, last_seq: 15 });
    expect(await statuses(session)).toEqual(['completed', 'completed']);
  });

  it('leaves no free session with waiting input, whichever of accept and finish comes first', async () => {
    for (let round = 0; round < 60; round++) {
      const session = await newSession();
      const [first, second] = [input(session, 'a'), input(session, 'b')];
      await accept(first);
      const [outcome, accepted] = await Promise.all([
        store.finish(lease(session, 1), finishOf(first, 5)),
        accept(second, 'n2'),
      ]);
      const { lease_owner, pending } = await row(session);
      if (outcome === 'pending') expect([accepted.outcome, lease_owner, pending]).toEqual(['queued', 'n1', 1]);
      else expect([accepted.outcome, lease_owner, pending]).toEqual(['taken', 'n2', 0]);
    }
  });

  it('works off everything once, in order, while more is accepted', async () => {
    const session = await newSession();
    const first = input(session, 'first');
    await accept(first);
    const more = Array.from({ length: 30 }, (_, i) => input(session, `${i}`));
    const accepting = Promise.all(more.map((it) => accept(it, 'n2', false)));
    const done: string[] = [];
    let held = lease(session, 1);
    let run: { run_id: string; reply_id: string; last_seq: number } | null = { ...first, last_seq: 1 };
    while (done.length <= more.length) {
      while (run) {
        done.push(run.run_id);
        const outcome = await store.finish(held, finishOf(run, run.last_seq + 3));
        run = outcome === 'pending' ? await store.next(held) : null;
      }
      const claim: Claim | null = await store.claim(system, { owner: 'n1', lease_ms: LEASE_MS });
      if (claim?.kind === 'next') [held, run] = [claim.lease, claim.run];
    }
    await accepting;
    expect(new Set(done)).toEqual(new Set([first.run_id, ...more.map((it) => it.run_id)]));
    expect(await row(session)).toMatchObject({ lease_owner: null, pending: 0 });
    const page = await sessions.messages(alice, session, 200);
    const users = page?.messages.filter((it) => it.role === 'user') ?? [];
    expect(users).toHaveLength(31);
    expect(page?.messages.map((it) => it.role)).toEqual(users.flatMap(() => ['user', 'assistant']));
  });

  it('writes nothing for a holder whose lease was given to a later one', async () => {
    const session = await newSession();
    const first = input(session, 'a');
    await accept(first);
    await expire(session);
    const claim = await claimOf(session);
    expect(claim).toMatchObject({
      kind: 'abandoned',
      run: { run_id: first.run_id, attempt: 2, committed_seq: 1, last_seq: 1 + 2 ** 20 },
    });
    const old = lease(session, 1);
    expect(await store.checkpoint(old, finishOf(first, 3).step, 3)).toBe(false);
    expect(await store.finish(old, finishOf(first, 3))).toBe('fenced');
    expect(await store.next(old)).toBeNull();
    expect(await store.renew(system, [old], LEASE_MS)).toEqual([]);
    expect(await row(session)).toMatchObject({ lease_token: 2, last_seq: 1 + 2 ** 20, lease_owner: 'n9' });
    expect((await sessions.messages(alice, session, 10))?.messages).toHaveLength(1);
  });

  it('writes nothing for a session that was deleted', async () => {
    const session = await newSession();
    const first = input(session, 'a');
    await accept(first);
    expect(await sessions.delete(alice, { id: session })).toHaveLength(1);
    expect(await store.finish(lease(session, 1), finishOf(first, 3))).toBe('fenced');
    expect(await store.exists({ tenant_id: 'acme', session_id: session })).toBe(false);
    expect(await accept(input(session, 'b'))).toEqual({ outcome: 'gone' });
    while ((await sessions.purge(system, 100)) > 0);
    expect(await statuses(session)).toEqual([]);
  });
});

/** Claims until this session comes up; other tests of this file may have left claimable ones. */
async function claimOf(session_id: string): Promise<Claim> {
  for (;;) {
    const claim = await store.claim(system, { owner: 'n9', lease_ms: LEASE_MS });
    if (!claim) throw new Error('the session could not be claimed');
    if (claim.lease.session_id === session_id) return claim;
  }
}

describe('claim, renew and stop', () => {
  it('gives each waiting session to one claimer', async () => {
    const waiting = await Promise.all(Array.from({ length: 12 }, newSession));
    for (const session of waiting) await accept(input(session, 'x'), 'n1', false);
    const claimed: string[] = [];
    const claimer = async (owner: string) => {
      for (let claim; (claim = await store.claim(system, { owner, lease_ms: LEASE_MS }));)
        claimed.push(claim.lease.session_id);
    };
    await Promise.all(['a', 'b', 'c', 'd'].map(claimer));
    // A row that another claimer has locked is passed over; what is left over is found by the next look.
    await claimer('e');
    expect(claimed.filter((it) => waiting.includes(it)).sort()).toEqual([...waiting].sort());
  });

  it('does not claim a session with a live holder', async () => {
    const session = await newSession();
    await accept(input(session, 'a'));
    await accept(input(session, 'b'));
    await expect(claimOf(session)).rejects.toThrow('could not be claimed');
  });

  it('renews many leases in one statement and says whose run is to stop', async () => {
    const [one, two] = [await newSession(), await newSession()];
    const first = input(one, 'a');
    await accept(first);
    await accept(input(two, 'a'));
    await store.requestStop(alice, one, 'alice');
    const renewed = await store.renew(system, [lease(one, 1), lease(two, 1), lease(two, 7)], LEASE_MS);
    expect(new Map(renewed.map((it) => [it.session_id, it.stop_run_id]))).toEqual(
      new Map([
        [one, first.run_id],
        [two, null],
      ]),
    );
  });

  it('stops the run at work and cancels the queued ones; idle is a no-op', async () => {
    const session = await newSession();
    expect(await store.requestStop(alice, session, 'alice')).toEqual({ run_id: null, cancelled: [] });
    const [first, second, third] = [input(session, 'a'), input(session, 'b'), input(session, 'c')];
    for (const it of [first, second, third]) await accept(it);
    const stopped = await store.requestStop(alice, session, 'bob');
    expect(stopped.run_id).toBe(first.run_id);
    expect(new Set(stopped.cancelled)).toEqual(new Set([second.run_id, third.run_id]));
    expect(await row(session)).toMatchObject({ pending: 0 });
    expect(await store.finish(lease(session, 1), { ...finishOf(first, 4), status: 'interrupted' })).toBe('released');
    expect(await statuses(session)).toEqual(['interrupted', 'cancelled', 'cancelled']);
    // The id of a cancelled message is free again: it never entered the transcript.
    expect((await accept({ ...input(session, 'b'), messages: second.messages })).outcome).toBe('taken');
  });
});
