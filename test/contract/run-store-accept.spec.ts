import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { CreateAgent } from '../../src/agents/agent.schema.js';
import { Principal } from '../../src/auth/principal.js';
import { CredentialTypeormStore } from '../../src/credentials/credential.typeorm-store.js';
import { newId } from '../../src/platform/ids.js';
import { alice, finishOf, ids, input, lease, Ledger, message } from './run-store-support.js';

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
beforeEach(() => ledger.clear());
afterAll(() => ledger.close());

describe('accept', () => {
  it('takes a free session at once: the messages are in the transcript and numbered', async () => {
    const session = await ledger.newSession();
    const first = input(session, 'a', 'b');
    expect(await ledger.accept(first)).toEqual({ outcome: 'taken', token: 1, last_seq: 2, state: {} });
    expect(await ledger.sessions.messages(alice, session, 10)).toMatchObject({ as_of_seq: 2, is_running: true });
    expect(ids(await ledger.transcript(session))).toEqual(ids(first.messages));
    const at_work = { lease_owner: 'n1', lease_run_id: first.run_id, reply_seq: 0, pending: 0 };
    expect(await ledger.row(session)).toMatchObject(at_work);
    expect(await ledger.run(first.run_id)).toMatchObject({ status: 'running', attempt: 1, owner: 'n1' });
  });

  it('takes input without messages', async () => {
    const session = await ledger.newSession();
    expect(await ledger.accept(input(session))).toEqual({ outcome: 'taken', token: 1, last_seq: 0, state: {} });
  });

  it('queues behind a run, without a slot, and behind what is queued; none of it is in the transcript yet', async () => {
    const session = await ledger.newSession();
    expect(await ledger.queue(input(session, 'a'))).toEqual({ outcome: 'queued' });
    expect(await ledger.accept(input(session, 'b'))).toEqual({ outcome: 'queued' });
    expect(await ledger.row(session)).toMatchObject({ pending: 2, lease_owner: null, last_seq: 0 });
    expect(await ledger.transcript(session)).toEqual([]);
    const { session: busy } = await ledger.working();
    expect(await ledger.accept(input(busy, 'b'), { owner: 'n2' })).toEqual({ outcome: 'queued' });
    expect(await ledger.row(busy)).toMatchObject({ pending: 1, lease_owner: 'n1', lease_token: 1 });
  });

  it('accepts a message once however often it is sent, taken, queued or done', async () => {
    const session = await ledger.newSession();
    const again = (messages: ReturnType<typeof message>[]) => ledger.accept({ ...input(session), messages });
    const [first, second] = [input(session, 'x'), input(session, 'y', 'z')];
    await ledger.accept(first);
    await ledger.accept(second);
    expect(await again([...first.messages])).toEqual({
      outcome: 'duplicate',
      run_id: first.run_id,
      status: 'running',
    });
    expect(await again([...second.messages])).toEqual({
      outcome: 'duplicate',
      run_id: second.run_id,
      status: 'queued',
    });
    await ledger.store.finish(lease(session, 1), finishOf(first, 5));
    expect(await again([...first.messages])).toMatchObject({ run_id: first.run_id, status: 'completed' });
    // Nothing that is new may be lost in the answer to what is not.
    expect(await again([message('new'), ...first.messages])).toEqual({ outcome: 'id_taken' });
    expect(await again([...first.messages, ...second.messages])).toEqual({ outcome: 'id_taken' });
    expect(await ledger.statuses(session)).toEqual(['completed', 'queued']);
    expect(await ledger.row(session)).toMatchObject({ pending: 1 });
  });

  it('accepts a message that is sent twice at once by two processes once', async () => {
    const session = await ledger.newSession();
    const [one, two] = [input(session, 'x'), input(session)];
    const outcomes = await ledger.inTurn(
      session,
      () => ledger.queue(one),
      () => ledger.queue({ ...two, messages: one.messages }, { store: ledger.other }),
    );
    expect(outcomes).toEqual([{ outcome: 'queued' }, { outcome: 'duplicate', run_id: one.run_id, status: 'queued' }]);
    expect(await ledger.row(session)).toMatchObject({ pending: 1 });
    expect(await ledger.statuses(session)).toEqual(['queued']);
  });

  it('lets a message that turned out to be a repetition fail alone', async () => {
    const [one, two] = [await ledger.newSession(), await ledger.newSession()];
    const first = input(one, 'x');
    await ledger.accept(first);
    const { client, letGo } = await ledger.lock(one);
    const repeated = input(one, 'y');
    const both = Promise.all([ledger.queue(repeated), ledger.accept(input(two, 'z'))]);
    await ledger.waiting(1);
    await client.query(
      `INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data)
       VALUES ('acme', $1, $2, 0, $3, 'user', 2, '{}')`,
      [one, repeated.messages[0]?.id, first.run_id],
    );
    await letGo();
    expect(await both).toEqual([
      { outcome: 'duplicate', run_id: first.run_id, status: 'running' },
      { outcome: 'taken', token: 1, last_seq: 1, state: {} },
    ]);
    expect(await ledger.statuses(one)).toEqual(['running']);
  });

  it('refuses the id of a reply', async () => {
    const { session, run, held } = await ledger.working();
    await ledger.store.finish(held, finishOf(run, 5));
    const clash = { ...message('y'), id: run.reply_id };
    expect(await ledger.accept({ ...input(session), messages: [clash] })).toEqual({ outcome: 'id_taken' });
  });

  it('refuses what is too much', async () => {
    const { session } = await ledger.working();
    expect(await ledger.accept(input(session, 'b'), { max: 1 })).toEqual({ outcome: 'queued' });
    expect(await ledger.accept(input(session, 'c'), { max: 1 })).toEqual({ outcome: 'full' });
    expect(await ledger.row(session)).toMatchObject({ pending: 1 });
  });

  it('knows no session that is unknown, deleted, of another tenant or of another user', async () => {
    const session = await ledger.newSession();
    const gone = { outcome: 'gone' };
    expect(await ledger.accept(input(randomUUID(), 'x'))).toEqual(gone);
    expect(await ledger.accept(input(session, 'x'), { as: new Principal('other', 'alice') })).toEqual(gone);
    expect(await ledger.accept(input(session, 'x'), { as: new Principal('acme', 'bob') })).toEqual(gone);
    const stranger = { ...input(session, 'x'), on_busy: 'interrupt' as const };
    expect(await ledger.accept(stranger, { as: new Principal('acme', 'bob') })).toEqual(gone);
    expect(await ledger.sessions.delete(alice, { id: session })).toHaveLength(1);
    expect(await ledger.accept(input(session, 'x'))).toEqual(gone);
    expect(await ledger.statuses(session)).toEqual([]);
  });

  it('stops nothing for a stranger', async () => {
    const { session, run } = await ledger.working();
    const stranger = { ...input(session, 'x'), on_busy: 'rollback' as const };
    await ledger.accept(stranger, { as: new Principal('acme', 'bob') });
    expect(await ledger.run(run.run_id)).toMatchObject({ stop_mode: null });
    expect(await ledger.row(session)).toMatchObject({ stop_run_id: null });
  });

  it('keeps the order of 100 at once over two processes, and gives the session to one of them', async () => {
    const session = await ledger.newSession();
    const all = Array.from({ length: 100 }, (_, i) => input(session, `${i}a`, `${i}b`));
    const outcomes = await Promise.all(
      all.map((it, i) => ledger.accept(it, { owner: `n${i % 2}`, store: i % 2 ? ledger.other : ledger.store })),
    );
    expect(outcomes.filter((it) => it.outcome === 'taken')).toHaveLength(1);
    expect(outcomes.filter((it) => it.outcome === 'queued')).toHaveLength(99);
    expect(await ledger.row(session)).toMatchObject({ pending: 99, lease_token: 1, last_seq: 2 });
    const holder = outcomes.findIndex((it) => it.outcome === 'taken');
    const order = (await ledger.inputs(session)).map((row) => all.findIndex((it) => it.run_id === row.run_id));
    expect(new Set(order).size).toBe(99);
    // Each process kept the order of what it was given.
    for (const half of [0, 1]) {
      const mine = order.filter((n) => n % 2 === half);
      expect(mine).toEqual([...mine].sort((a, b) => a - b));
    }
    expect([0, 1]).toContain(holder);
  });
});

describe('accept: stale', () => {
  const stale = { outcome: 'stale' };

  it('is what was prepared before the session was changed', async () => {
    const session = await ledger.newSession();
    await ledger.sessions.update(alice, session, (config) => ({ ...config, name: 'new' }));
    expect(await ledger.accept(input(session, 'x'))).toEqual(stale);
    expect(await ledger.statuses(session)).toEqual([]);
    expect(await ledger.accept({ ...input(session, 'x'), session_version: 1 })).toMatchObject({ outcome: 'taken' });
  });

  it('is what was prepared before any agent or credential of the tenant was changed or deleted', async () => {
    const session = await ledger.newSession();
    const credentials = new CredentialTypeormStore(ledger.database);
    const [agent, credential] = [newId(), newId()];
    const content = { type: 'demo', name: 'c', data: {}, secrets: null };
    await ledger.agents.create(alice, agent, CreateAgent.parse({ name: 'other' }));
    await credentials.create(alice, credential, content);
    const changes = [
      () => ledger.agents.update(alice, agent, (data) => ({ ...data, name: 'new' })),
      () => credentials.replace(alice, credential, 0, { ...content, name: 'new' }),
      () => ledger.agents.delete(alice, agent),
      () => credentials.delete(alice, credential, { unused: true }),
    ];
    let config_version = 0;
    for (const change of changes) {
      expect((await ledger.queue({ ...input(session, 'x'), config_version })).outcome).toBe('queued');
      await change();
      expect(await ledger.queue({ ...input(session, 'x'), config_version })).toEqual(stale);
      config_version = (await ledger.sessions.get(alice, session))?.config_version ?? -1;
    }
    expect(config_version).toBe(4);
    expect((await ledger.queue({ ...input(session, 'x'), config_version })).outcome).toBe('queued');
  });

  it('is nothing that another tenant changed', async () => {
    const session = await ledger.newSession();
    const bob = new Principal('other', 'bob');
    const agent = newId();
    await ledger.agents.create(bob, agent, CreateAgent.parse({ name: 'b' }));
    await ledger.agents.delete(bob, agent);
    expect((await ledger.accept(input(session, 'x'))).outcome).toBe('taken');
  });
});
