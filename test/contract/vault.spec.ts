import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes, randomUUID } from 'node:crypto';
import { MIGRATIONS } from '../../migrations/all.js';
import { ENTITIES } from '../../src/aerie.module.js';
import { KeyProvider, KeyProviderUnavailable, type WrappedKey } from '../../src/platform/crypto/key-provider.js';
import { keyIdOf, KeyRing } from '../../src/platform/crypto/key-ring.js';
import { SealError } from '../../src/platform/crypto/seal.js';
import { TenantKeyPgStore } from '../../src/platform/crypto/tenant-key.pg-store.js';
import { type Place, Vault } from '../../src/platform/crypto/vault.js';
import { Database } from '../../src/platform/database/database.js';
import { migrate } from '../../src/platform/database/database.module.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { KeyServer, RemoteKeys } from '../support/remote-keys.js';
import { sealAlone } from '../support/sealed-alone.js';

const SECRET = { api_key: 'sk-canary' };
const [one, two] = [randomBytes(32), randomBytes(32)];

let test: TestDatabase;
let nodes: Database[];
let database: Database;

beforeAll(async () => {
  test = await createTestDatabase();
  const parts = { url: test.url, pool: 4, application_name: 'test', entities: ENTITIES, migrations: MIGRATIONS };
  nodes = await Promise.all([1, 2, 3].map(() => Database.connect(parts)));
  database = nodes[0] as Database;
  await migrate(database, test.url);
});
afterAll(async () => {
  await Promise.all(nodes.map((node) => node.close()));
  await test.drop();
});

/** As another process would have it: nothing of this vault is in its memory. */
const vaultOf = (keys: [Buffer, ...Buffer[]] = [one], node = database) =>
  new Vault(new KeyRing(keys), new TenantKeyPgStore(node));
const newPlace = (tenant_id = `t${randomUUID()}`): Place => ({ tenant_id, id: randomUUID(), bound: { b: 1, a: [2] } });
const keysOf = (tenantId: string) =>
  database.run<{ id: string; kid: string; bytes: Buffer }>(
    'test-keys',
    'SELECT id, kid, bytes FROM tenant_keys WHERE tenant_id = $1',
    [tenantId],
  );

describe('a vault', () => {
  it('opens what another process sealed, and shows nothing of it', async () => {
    const place = newPlace();
    const sealed = await vaultOf().seal(SECRET, place);
    expect(JSON.stringify(sealed)).not.toContain('canary');
    expect(await vaultOf().open(JSON.parse(JSON.stringify(sealed)), place)).toEqual(SECRET);
    expect(await vaultOf().open(sealed, { ...place, bound: { a: [2], b: 1, c: undefined } })).toEqual(SECRET);
  });

  it('seals differently each time, with one key a tenant', async () => {
    const place = newPlace();
    const [a, b] = [await vaultOf().seal(SECRET, place), await vaultOf().seal(SECRET, place)];
    expect(a.data).not.toBe(b.data);
    expect(a.key).toBe(b.key);
    const other = await vaultOf().seal(SECRET, newPlace());
    expect(other.key).not.toBe(a.key);
    expect(await keysOf(place.tenant_id)).toHaveLength(1);
  });

  it('makes one key for a new tenant, however many processes begin at once', async () => {
    for (let round = 0; round < 10; round++) {
      const { tenant_id } = newPlace();
      const places = Array.from({ length: 12 }, () => newPlace(tenant_id));
      const sealed = await Promise.all(places.map((place, n) => vaultOf([one], nodes[n % 3]).seal(SECRET, place)));
      expect(new Set(sealed.map((it) => it.key)).size).toBe(1);
      expect(await keysOf(tenant_id)).toHaveLength(1);
      const opened = await Promise.all(sealed.map((it, n) => vaultOf().open(it, places[n] as Place)));
      expect(opened).toEqual(places.map(() => SECRET));
    }
  });

  it('still opens what it sealed when the ring has a new first key, which wraps anew what is asked for', async () => {
    const place = newPlace();
    const sealed = await vaultOf().seal(SECRET, place);
    expect(await vaultOf([two, one]).open(sealed, place)).toEqual(SECRET);
    await expect(vaultOf([two]).open(sealed, place)).rejects.toThrow(SealError);
    const store = new TenantKeyPgStore(database);
    const key = await store.active(place.tenant_id);
    if (!key) throw new Error('no key');
    expect(await vaultOf([two, one]).rewrap(key)).toBe(true);
    expect(await vaultOf([two, one]).rewrap(key)).toBe(false);
    expect((await keysOf(place.tenant_id))[0]?.kid).toBe(keyIdOf(two));
    expect(await vaultOf([two]).open(sealed, place)).toEqual(SECRET);
    await expect(vaultOf([one]).open(sealed, place)).rejects.toThrow(SealError);
  });
});

describe('tampering: nothing opens', () => {
  let place: Place;
  let sealed: { v: 2; key: string; data: string };
  beforeEach(async () => {
    place = newPlace();
    sealed = await vaultOf().seal(SECRET, place);
  });

  const refused = (value: unknown, at: Place = place) => expect(vaultOf().open(value, at)).rejects.toThrow(SealError);

  it('with any byte of the secret changed', async () => {
    const bytes = Buffer.from(sealed.data, 'base64');
    const vault = vaultOf();
    for (let at = 0; at < bytes.length; at++) {
      const changed = Buffer.from(bytes);
      changed.writeUInt8(changed.readUInt8(at) ^ 0x80, at);
      await expect(vault.open({ ...sealed, data: changed.toString('base64') }, place)).rejects.toThrow(SealError);
    }
    expect(await vault.open(sealed, place)).toEqual(SECRET);
  });

  it('with any byte of the data key changed', async () => {
    const [key] = await keysOf(place.tenant_id);
    if (!key) throw new Error('no key');
    const write = (bytes: Buffer) =>
      database.run('test-set', 'UPDATE tenant_keys SET bytes = $2 WHERE tenant_id = $1', [place.tenant_id, bytes]);
    for (let at = 0; at < key.bytes.length; at++) {
      const changed = Buffer.from(key.bytes);
      changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
      await write(changed);
      await refused(sealed);
    }
    for (const bytes of [Buffer.alloc(0), key.bytes.subarray(1)]) {
      await write(bytes);
      await refused(sealed);
    }
    await write(key.bytes);
    expect(await vaultOf().open(sealed, place)).toEqual(SECRET);
  });

  it('at another row, another tenant, or with other fields beside it', async () => {
    await refused(sealed, { ...place, id: randomUUID() });
    await refused(sealed, { ...place, bound: { b: 1, a: [3] } });
    await refused(sealed, { ...place, bound: null });
    const other = newPlace();
    const theirs = await vaultOf().seal(SECRET, other);
    await refused(sealed, { ...other, id: place.id });
    await refused({ ...sealed, key: theirs.key });
    await refused(theirs);
  });

  it('with the key of another tenant in place of its own, or under another name', async () => {
    const other = newPlace();
    await vaultOf().seal(SECRET, other);
    const [theirs] = await keysOf(other.tenant_id);
    await database.run('test-swap', 'UPDATE tenant_keys SET bytes = $2 WHERE tenant_id = $1', [
      place.tenant_id,
      theirs?.bytes,
    ]);
    await refused(sealed);
    await database.run('test-kid', 'UPDATE tenant_keys SET kid = $2 WHERE tenant_id = $1', [place.tenant_id, 'x']);
    await refused(sealed);
    await database.run('test-gone', 'DELETE FROM tenant_keys WHERE tenant_id = $1', [place.tenant_id]);
    await refused(sealed);
  });

  it.each([null, undefined, 7, 'x', [], {}, { v: 3 }, { v: 2 }, { v: 2, key: 'x', data: 'x' }, { v: 1, kid: 'x' }])(
    'of %j',
    (value) => refused(value),
  );

  it.each(['', 'AAAA', '%%%', '\u0000', 'é'.repeat(100)])('of data %j', (data) => refused({ ...sealed, data }));

  it('of a key that has no such id', async () => {
    await refused({ ...sealed, key: randomUUID() });
    await refused({ ...sealed, key: "' OR 1=1 --" });
  });
});

describe('a secret with a data key of its own, as it was before tenants had them', () => {
  it('still opens, and only where it belongs', async () => {
    const place = newPlace();
    const sealed = sealAlone(one, SECRET, place.tenant_id, place.id);
    expect(await vaultOf([two, one]).open(sealed, place)).toEqual(SECRET);
    for (const [value, at] of [
      [sealed, { ...place, id: randomUUID() }],
      [sealed, { ...place, tenant_id: 'other' }],
      [{ ...sealed, kid: keyIdOf(two) }, place],
      [{ ...sealed, key: sealAlone(one, SECRET, place.tenant_id, randomUUID()).key }, place],
      [{ ...sealed, data: 'AAAA' }, place],
    ] as const) {
      await expect(vaultOf([two, one]).open(value, at)).rejects.toThrow(SealError);
    }
  });
});

describe('with a remote provider', () => {
  let server: KeyServer;
  beforeAll(async () => {
    server = await KeyServer.start(new Map([['k', randomBytes(32)]]));
  });
  afterAll(() => server.stop());
  const remote = (limits = { max: 10, ttl_ms: 60_000 }) =>
    new Vault(new RemoteKeys(server.url, 'k'), new TenantKeyPgStore(database), limits);

  it('asks once for a tenant, and goes on with what it knows while the provider is away', async () => {
    const place = newPlace();
    const sealed = await remote().seal(SECRET, place);
    const vault = remote();
    server.calls.length = 0;
    const opened = await Promise.all(Array.from({ length: 20 }, () => vault.open(sealed, place)));
    expect(opened).toEqual(opened.map(() => SECRET));
    expect(server.calls).toEqual(['unwrap']);
    server.failing = true;
    expect(await vault.open(sealed, place)).toEqual(SECRET);
    expect(await vault.open(await vault.seal('new', place), place)).toBe('new');
    await expect(remote().open(sealed, place)).rejects.toThrow(KeyProviderUnavailable);
    await expect(remote().seal(SECRET, newPlace())).rejects.toThrow(KeyProviderUnavailable);
    server.failing = false;
    expect(await remote().open(sealed, place)).toEqual(SECRET);
  });

  it('opens nothing any more, once its time is over, of a key that was disabled', async () => {
    const place = newPlace();
    const vault = remote({ max: 10, ttl_ms: 0.001 });
    const first = await remote().seal(SECRET, place);
    server.disabled.add('k');
    await expect(vault.open(first, place)).rejects.toThrow(SealError);
    server.disabled.clear();
  });

  it('seals with nothing but a data key', async () => {
    class Odd extends RemoteKeys {
      override async unwrap(key: WrappedKey, context: string): Promise<Buffer> {
        return (await super.unwrap(key, context)).subarray(0, 16);
      }
    }
    const odd: KeyProvider = new Odd(server.url, 'k');
    const vault = new Vault(odd, new TenantKeyPgStore(database));
    await expect(vault.seal(SECRET, newPlace())).rejects.toThrow(SealError);
  });
});
