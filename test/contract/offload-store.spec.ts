import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { Principal } from '../../src/auth/principal.js';
import {
  MAX_OFFLOAD_BYTES,
  type OffloadItem,
  OffloadRefused,
  type OffloadStore,
} from '../../src/core/context/offload-store.js';
import { OffloadPgStore } from '../../src/offloads/offload.pg-store.js';
import { OffloadsService } from '../../src/offloads/offloads.service.js';
import { Config } from '../../src/platform/config/config.js';
import { EnvSchema } from '../../src/platform/config/env.schema.js';
import { newId } from '../../src/platform/ids.js';
import { alice, Ledger, system } from './run-store-support.js';

const QUOTA = 12_000_000;

let ledger: Ledger;
let offloads: OffloadsService;
let session: string;
let store: OffloadStore;

const result = (content: string, name = 'r-c'): OffloadItem => ({
  kind: 'tool_result',
  name,
  media_type: 'text/plain',
  content,
});
const picture = (bytes: Uint8Array, media_type = 'image/png'): OffloadItem => ({
  kind: 'data',
  name: 'x',
  media_type,
  content: bytes,
});
const pathsOf = async (id = session): Promise<unknown[]> =>
  (await ledger.sql('SELECT path FROM offloads WHERE session_id = $1 ORDER BY path', [id])).map(({ path }) => path);

beforeAll(async () => {
  ledger = await Ledger.open();
  const config = new Config(EnvSchema.parse({ AERIE_OFFLOAD_MAX_BYTES: String(QUOTA) }));
  offloads = new OffloadsService(new OffloadPgStore(ledger.database), config);
});
afterAll(() => ledger.close());
beforeEach(async () => {
  session = await ledger.newSession();
  store = offloads.of(alice, session);
});

describe('the offload store', () => {
  it('gives back what was put, by characters', async () => {
    const { path } = await store.put(result('ab😀ä\u0301 end'));
    expect(path).toBe('tool_results/tool_result-r-c.txt');
    expect(await store.read(path, 0, 100)).toEqual({ media_type: 'text/plain', text: 'ab😀ä\u0301 end', total: 9 });
    expect((await store.read(path, 2, 2))?.text).toBe('😀ä');
    expect((await store.read(path, 20, 2))?.text).toBe('');
    expect(await store.read('tool_results/other.txt', 0, 1)).toBeNull();
    expect(await store.read('\0', 0, 1)).toBeNull();
  });

  it('makes texts storable, and takes what is no text for a file', async () => {
    const { path } = await store.put(result('a\0b\ud83d'));
    expect((await store.read(path, 0, 10))?.text).toBe('a\u{fffd}b\u{fffd}');
    const odd = await store.put(picture(Buffer.from([0x61, 0xff, 0x00]), 'text/csv'));
    expect(await store.read(odd.path, 0, 10)).toEqual({ media_type: 'application/octet-stream', text: null, total: 3 });
    const table = await store.put(picture(Buffer.from('a,ä'), 'text/csv'));
    expect(await store.read(table.path, 0, 10)).toEqual({ media_type: 'text/csv', text: 'a,ä', total: 3 });
  });

  it('replaces what has the same name, and names files by their content', async () => {
    const { path } = await store.put(result('one'));
    await store.put(result('two'));
    expect((await store.read(path, 0, 10))?.text).toBe('two');
    const bytes = Buffer.from('png');
    const digest = createHash('sha256').update(bytes).digest('hex');
    expect(await store.put(picture(bytes))).toEqual({ path: `data/${digest}.png` });
    await store.put(picture(bytes));
    await store.put({ kind: 'context', name: '3', media_type: 'application/jsonl', content: '{}\n' });
    expect(await pathsOf()).toEqual(['context/3.jsonl', `data/${digest}.png`, path]);
    expect((await store.read('context/3.jsonl', 0, 10))?.text).toBe('{}\n');
  });

  it('makes a plain path of any name, and another one of each', async () => {
    const names = ['../../etc/passwd', '..-..-etc-passwd', 'a b', 'a/b', '', '\0', 'x'.repeat(5000), 'ok-1.2_3'];
    const paths = await Promise.all(names.map(async (name) => (await store.put(result(name, name))).path));
    expect(new Set(paths).size).toBe(names.length);
    for (const path of paths) expect(path).toMatch(/^tool_results\/tool_result-[A-Za-z0-9._-]{1,200}\.txt$/);
    for (const path of paths) expect(path).not.toContain('..-');
  });

  it('has a bound for one item, and one for a session', async () => {
    const large = 'x'.repeat(MAX_OFFLOAD_BYTES);
    await expect(store.put(result(`${large}x`))).rejects.toThrow(OffloadRefused);
    await store.put(result(large));
    await expect(store.put(result('y'.repeat(2_000_000), 'more'))).rejects.toThrow('no room left');
    // What is replaced makes room for what replaces it; another session has room of its own.
    await store.put(result(large));
    await store.put(result('z'.repeat(1_000_000), 'more'));
    await offloads.of(alice, await ledger.newSession()).put(result(large));
    expect(await pathsOf()).toHaveLength(2);
  });

  it('never takes more than the bound, however many put at a time', async () => {
    const all = [0, 1, 2, 3, 4, 5].map((n) => store.put(result('x'.repeat(3_000_000), `n${n}`)));
    const outcomes = await Promise.allSettled(all);
    expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(4);
    expect(await pathsOf()).toHaveLength(4);
  });

  it.each([
    ['another tenant', new Principal('rival', 'alice')],
    ['another user', new Principal('acme', 'bob')],
  ])('is not there for %s', async (_, stranger) => {
    const { path } = await store.put(result('secret'));
    const theirs = offloads.of(stranger, session);
    expect(await theirs.read(path, 0, 10)).toBeNull();
    await expect(theirs.put(result('mine'))).rejects.toThrow('there is no such session');
    await expect(theirs.put(picture(Buffer.from('mine')))).rejects.toThrow(OffloadRefused);
    expect((await store.read(path, 0, 10))?.text).toBe('secret');
    expect(await pathsOf()).toEqual([path]);
  });

  it('goes with its session', async () => {
    const { path } = await store.put(result('gone'));
    await ledger.sessions.delete(alice, { id: session });
    expect(await store.read(path, 0, 10)).toBeNull();
    await expect(store.put(result('late'))).rejects.toThrow('there is no such session');
    expect(await pathsOf()).toEqual([path]);
    await ledger.sessions.purge(system, 100);
    expect(await pathsOf()).toEqual([]);
  });

  it('is copied with its session', async () => {
    const { path } = await store.put(result('shared'));
    const id = newId();
    expect(await ledger.sessions.fork(alice, session, { id, external_id: null, name: 'copy', close: (it) => it })).toBe(
      'forked',
    );
    await store.put(result('changed'));
    expect((await offloads.of(alice, id).read(path, 0, 10))?.text).toBe('shared');
  });
});
