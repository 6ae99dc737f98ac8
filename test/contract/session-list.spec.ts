import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { Principal } from '../../src/auth/principal.js';
import { SessionListQuery } from '../../src/sessions/session.schema.js';
import { exportLines } from '../../src/sessions/session-export.js';
import type { TranscriptBounds } from '../../src/sessions/session.store.js';
import { SessionTypeormStore } from '../../src/sessions/session.typeorm-store.js';
import { alice, Ledger, message } from './run-store-support.js';
import { counted, record, recordMany } from './session-support.js';

const READ_MS = 5000;

let ledger: Ledger;
beforeAll(async () => {
  ledger = await Ledger.open();
});
afterAll(() => ledger.close());
beforeEach(() => ledger.clear());

async function named(name: string, metadata: Record<string, string> = {}, as = alice): Promise<string> {
  const id = await ledger.newSession(as);
  await ledger.sql('UPDATE sessions SET config = config || $2 WHERE id = $1', [id, JSON.stringify({ name, metadata })]);
  return id;
}

async function found(query: object, as = alice): Promise<string[]> {
  const { rows, total } = await ledger.sessions.list(as, SessionListQuery.parse(query));
  expect(total).toBe(rows.length);
  return rows.map((row) => row.config.name);
}

describe('the messages of a session', () => {
  it('are read from a given one on, within bounds', async () => {
    const session = await ledger.newSession();
    await recordMany(ledger, session, 2000);
    const read = async (limit: number, stretch?: TranscriptBounds) => {
      const page = await ledger.sessions.messages(alice, session, limit, stretch);
      return page && [page.messages.length, page.messages[0]?.id, page.messages.at(-1)?.id, page.has_more];
    };
    expect(await read(400)).toEqual([400, 'm1601', 'm2000', true]);
    expect(await read(400, { from: 'm1991' })).toEqual([10, 'm1991', 'm2000', false]);
    expect(await read(400, { from: 'm100' })).toEqual([400, 'm1601', 'm2000', true]);
    expect(await read(400, { from: 'nobody' })).toEqual([400, 'm1601', 'm2000', true]);
    expect(await read(400, { from: 'm1991', before: 'm1995' })).toEqual([4, 'm1991', 'm1994', false]);
    expect(await read(400, { before: 'nobody' })).toBeNull();
  });
});

describe('a search', () => {
  it.each([
    ['talk', ['my TALK', 'Talk about it']],
    ['%', ['100% sure']],
    ['_', ['a_b']],
    ['\\', ['c\\d']],
    ['MÜL', ['Müller']],
    ['nothing', []],
  ])('for the name %j takes it as plain text, in upper or lower case', async (name, expected) => {
    for (const it of ['Talk about it', '100% sure', 'a_b', 'aXb', 'c\\d', 'Müller', 'my TALK']) await named(it);
    expect(await found({ name })).toEqual(expected);
  });

  it('finds sessions that have all the marks', async () => {
    await named('one', { env: 'prod', team: 'a' });
    await named('two', { env: 'prod', team: 'b' });
    await named('none');
    await named('odd', { a: 'b:c', empty: '' });
    expect(await found({ metadata: 'env:prod' })).toEqual(['two', 'one']);
    expect(await found({ metadata: ['env:prod', 'team:b'] })).toEqual(['two']);
    expect(await found({ metadata: ['env:prod', 'team:c'] })).toEqual([]);
    expect(await found({ metadata: 'a:b:c' })).toEqual(['odd']);
    expect(await found({ metadata: 'empty:' })).toEqual(['odd']);
    expect(await found({ metadata: 'env:prod', name: 'ON' })).toEqual(['one']);
  });

  it('sees nothing of others, and nothing that was deleted', async () => {
    const bob = new Principal('acme', 'bob');
    await named('talk', { env: 'prod' }, bob);
    const gone = await named('talk', { env: 'prod' });
    await ledger.sessions.delete(alice, { id: gone });
    for (const query of [{ name: 'talk' }, { metadata: 'env:prod' }]) {
      expect([await found(query), await found(query, bob)]).toEqual([[], ['talk']]);
    }
  });

  it('comes in pages, with the number of all that it finds', async () => {
    for (let n = 0; n < 5; n++) {
      await named(`hit ${n}`, { env: 'prod' });
      await named(`miss ${n}`);
    }
    const pages: string[][] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const query = SessionListQuery.parse({ name: 'hit', metadata: 'env:prod', limit: 2, cursor });
      const { rows, total, next_cursor } = await ledger.sessions.list(alice, query);
      expect(total).toBe(5);
      pages.push(rows.map((row) => row.config.name));
      cursor = next_cursor;
    }
    expect(pages).toEqual([['hit 4', 'hit 3'], ['hit 2', 'hit 1'], ['hit 0']]);
  });

  it('ends a page early when the plans of its sessions are large', async () => {
    const tasks = { tasks_context: { tasks: [{ subject: 'x'.repeat(5_000_000) }] } };
    const made = [];
    for (let n = 0; n < 4; n++) made.unshift(await named(`s${n}`));
    await ledger.sql('UPDATE sessions SET state = $1', [tasks]);
    const pages: string[][] = [];
    for (let cursor: string | null | undefined; cursor !== null;) {
      const { rows, total, next_cursor } = await ledger.sessions.list(alice, SessionListQuery.parse({ cursor }));
      expect(total).toBe(4);
      pages.push(rows.map((row) => row.id));
      cursor = next_cursor;
    }
    expect(pages).toEqual([made.slice(0, 2), made.slice(2)]);
  });
});

describe('an export', () => {
  const read = async (lines: AsyncIterable<string>) => {
    const all: Record<string, unknown>[] = [];
    for await (const line of lines) all.push(JSON.parse(line) as Record<string, unknown>);
    return all;
  };
  const opened = async (id: string, store = ledger.sessions) => {
    const session = await store.getWithState(alice, id);
    if (!session) throw new Error('no session');
    return session;
  };

  it('reads 2,000 messages in stretches, each once and in order', async () => {
    const session = await ledger.newSession();
    await recordMany(ledger, session, 2000);
    const { database, statements } = counted(ledger.database);
    const store = new SessionTypeormStore(database);
    const start = performance.now();
    const [first, ...rest] = await read(exportLines(store, alice, await opened(session)));
    expect(performance.now() - start).toBeLessThan(READ_MS);
    expect(statements.filter((name) => name === 'session-stretch')).toHaveLength(21);
    expect(first).toMatchObject({ type: 'session', id: session, as_of_seq: 2000 });
    expect(rest.pop()).toEqual({ type: 'end', messages: 2000 });
    const { messages } = (await ledger.sessions.messages(alice, session, 3000)) ?? {};
    expect(rest).toEqual(messages?.map((it) => ({ type: 'message', message: it })));
  });

  it('holds no more than a few large messages at once', async () => {
    const session = await ledger.newSession();
    const noise = () => Array.from({ length: 30_000 }, () => Math.random().toString(36).slice(2)).join('');
    for (let n = 1; n <= 10; n++) await record(ledger, session, n, { ...message(noise()), id: `u${n}` });
    const sizes: number[] = [];
    for (let next: number | null = 0; next !== null;) {
      const stretch = await ledger.sessions.stretch(alice, session, next, 100);
      sizes.push(stretch?.messages.length ?? 0);
      next = stretch?.next ?? null;
    }
    expect(Math.max(...sizes)).toBeLessThan(6);
    expect(sizes.reduce((a, b) => a + b)).toBe(10);
  });

  it('reads nothing ahead of its reader, and leaves out what was said since', async () => {
    const session = await ledger.newSession();
    await recordMany(ledger, session, 150);
    const { database, statements } = counted(ledger.database);
    const lines = exportLines(new SessionTypeormStore(database), alice, await opened(session));
    await lines.next();
    await lines.next();
    expect(statements).toEqual(['session-stretch']);
    await record(ledger, session, 151, { ...message('later'), id: 'later' });
    const rest = await read(lines);
    expect(rest.at(-1)).toEqual({ type: 'end', messages: 150 });
    expect(rest).toHaveLength(150);
  });

  it('breaks off when the session is deleted meanwhile', async () => {
    const session = await ledger.newSession();
    await recordMany(ledger, session, 150);
    const lines = exportLines(ledger.sessions, alice, await opened(session));
    for (let n = 0; n < 101; n++) await lines.next();
    await ledger.sessions.delete(alice, { id: session });
    await expect(lines.next()).rejects.toThrow('was deleted');
  });
});
