import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { watch } from 'node:fs';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KeyChain } from '../../src/platform/crypto/key-chain.js';
import { KeyProviderUnavailable } from '../../src/platform/crypto/key-provider.js';
import { loadKeyRing } from '../../src/platform/crypto/key-sources.js';
import { SealError } from '../../src/platform/crypto/seal.js';
import { eventually } from '../support/eventually.js';
import { newKey } from '../support/rig.js';
import { KeyServer, RemoteKeys } from '../support/remote-keys.js';
import { keyProviderContract } from './key-provider.js';

const CONTEXT = 'c';
const nothing = () => Promise.resolve();
const folder = () => mkdtemp(join(tmpdir(), 'aerie-keys-'));
const ring = (encryption_keys: string[]) => loadKeyRing({ encryption_keys, data_dir: '/nowhere' });

const remoteKeys = () => new Map(['arn:old', 'arn:new', 'arn:other'].map((id) => [id, randomBytes(32)]));

keyProviderContract('the environment', async () => {
  const [old, next, other] = [newKey(), newKey(), newKey()];
  return { before: await ring([old]), after: await ring([next, old]), stranger: await ring([other]), close: nothing };
});

keyProviderContract('a mounted file', async () => {
  const data_dir = await folder();
  const [old, next, other] = [newKey(), newKey(), newKey()];
  const load = async (name: string, text: string) => {
    const encryption_keys_file = join(data_dir, name);
    await writeFile(encryption_keys_file, text);
    return loadKeyRing({ encryption_keys_file, data_dir });
  };
  return {
    before: await load('before', old),
    after: await load('after', `${next}\n${old}\n`),
    stranger: await load('stranger', `\n${other}  `),
    close: () => rm(data_dir, { recursive: true }),
  };
});

keyProviderContract('the key file of the data folder', async () => {
  const [data_dir, elsewhere] = [await folder(), await folder()];
  const before = await loadKeyRing({ data_dir });
  const path = join(data_dir, 'encryption.key');
  await writeFile(path, `${newKey()}\n${await readFile(path, 'utf8')}`);
  return {
    before,
    after: await loadKeyRing({ data_dir }),
    stranger: await loadKeyRing({ data_dir: elsewhere }),
    close: async () => {
      for (const path of [data_dir, elsewhere]) await rm(path, { recursive: true });
    },
  };
});

keyProviderContract('a remote key service', async () => {
  const server = await KeyServer.start(remoteKeys());
  server.delay_ms = 1;
  return {
    before: new RemoteKeys(server.url, 'arn:old'),
    after: new RemoteKeys(server.url, 'arn:new', ['arn:new', 'arn:old']),
    stranger: new RemoteKeys(server.url, 'arn:other'),
    close: () => server.stop(),
  };
});

keyProviderContract('a remote key service after a ring', async () => {
  const server = await KeyServer.start(remoteKeys());
  const old = await ring([newKey()]);
  return {
    before: old,
    after: new KeyChain(new RemoteKeys(server.url, 'arn:new'), [old]),
    stranger: new KeyChain(new RemoteKeys(server.url, 'arn:other'), [await ring([newKey()])]),
    close: () => server.stop(),
  };
});

describe('a remote key service', () => {
  let server: KeyServer;
  beforeAll(async () => {
    server = await KeyServer.start(remoteKeys());
  });
  afterAll(() => server.stop());

  it('that fails or is away says nothing about the key', async () => {
    const keys = new RemoteKeys(server.url, 'arn:old');
    const wrapped = await keys.wrap(randomBytes(32), CONTEXT);
    server.failing = true;
    await expect(keys.unwrap(wrapped, CONTEXT)).rejects.toThrow(KeyProviderUnavailable);
    await expect(keys.wrap(randomBytes(32), CONTEXT)).rejects.toThrow(KeyProviderUnavailable);
    await expect(keys.holds('arn:old')).rejects.toThrow(KeyProviderUnavailable);
    server.failing = false;
    expect(await keys.unwrap(wrapped, CONTEXT)).toHaveLength(32);
    const away = new RemoteKeys('http://127.0.0.1:1', 'arn:old');
    await expect(away.unwrap(wrapped, CONTEXT)).rejects.toThrow(KeyProviderUnavailable);
  });

  it('whose key is disabled unwraps nothing with it until it is enabled again', async () => {
    const keys = new RemoteKeys(server.url, 'arn:old');
    const wrapped = await keys.wrap(randomBytes(32), CONTEXT);
    server.disabled.add('arn:old');
    expect(await keys.holds('arn:old')).toBe(false);
    await expect(keys.unwrap(wrapped, CONTEXT)).rejects.toThrow(SealError);
    server.disabled.clear();
    expect(await keys.unwrap(wrapped, CONTEXT)).toHaveLength(32);
  });

  it('is not asked for what a ring beside it holds', async () => {
    const old = await ring([newKey()]);
    const wrapped = await old.wrap(randomBytes(32), CONTEXT);
    const chain = new KeyChain(new RemoteKeys('http://127.0.0.1:1', 'arn:new'), [old]);
    expect(await chain.unwrap(wrapped, CONTEXT)).toHaveLength(32);
  });
});

describe('key files', () => {
  it('are readable by their owner only, and stay as they are', async () => {
    const data_dir = await folder();
    await loadKeyRing({ data_dir });
    const path = join(data_dir, 'encryption.key');
    const text = await readFile(path, 'utf8');
    expect((await stat(path)).mode & 0o777).toBe(0o600);
    await loadKeyRing({ data_dir });
    expect(await readFile(path, 'utf8')).toBe(text);
    await rm(data_dir, { recursive: true });
  });

  it('are complete as soon as they are there, also for a process that starts at the same moment', async () => {
    const data_dir = await folder();
    const seen: Promise<string>[] = [];
    const watcher = watch(data_dir, (_event, name) => {
      if (name === 'encryption.key') seen.push(readFile(join(data_dir, name), 'utf8'));
    });
    const rings = await Promise.all(Array.from({ length: 8 }, () => loadKeyRing({ data_dir })));
    const ids = await Promise.all(rings.map((it) => it.activeKeyId()));
    expect(new Set(ids).size).toBe(1);
    await eventually(() => seen[0]);
    watcher.close();
    for (const text of await Promise.all(seen)) expect(Buffer.from(text, 'base64')).toHaveLength(32);
    expect(await readdir(data_dir)).toEqual(['encryption.key']);
    await rm(data_dir, { recursive: true });
  });

  it.each([
    ['nothing', ''],
    ['a short key', 'canary'],
    ['a key and something else', `${randomBytes(32).toString('base64')} canary`],
  ])('that hold %s stop the start without telling what they hold', async (_name, text) => {
    const data_dir = await folder();
    const encryption_keys_file = join(data_dir, 'keys');
    await writeFile(encryption_keys_file, text);
    const failure = await loadKeyRing({ encryption_keys_file, data_dir }).catch((error: unknown) => error);
    expect(String(failure)).toMatch(/^ConfigError: AERIE_ENCRYPTION_KEYS_FILE: does not hold/);
    expect(String(failure)).not.toContain('canary');
    const absent = loadKeyRing({ encryption_keys_file: join(data_dir, 'absent'), data_dir });
    await expect(absent).rejects.toThrow(/AERIE_ENCRYPTION_KEYS_FILE: .* cannot be read \(ENOENT\)/);
    await rm(data_dir, { recursive: true });
  });
});
