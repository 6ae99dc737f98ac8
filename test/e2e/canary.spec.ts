import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Canary, Traces } from '../support/canary.js';
import type { ApiClient } from '../support/client.js';
import { create } from '../support/crud.js';
import { type LeakyProvider, type Manner, startLeakyProvider } from '../support/leaky-provider.js';
import { databaseEnv, LOCAL_EGRESS, newKey } from '../support/rig.js';
import { startRedis } from '../support/redis.js';
import { rotate } from '../support/rotation.js';
import { makeDataFolder, removeDataFolder } from '../support/services.js';
import { KEYED_HOST, type Service, startService } from '../support/service.js';

/** Where a service keeps what it writes. */
interface Stores {
  readonly env: Record<string, string>;
  readonly redis?: string;
  readonly sql?: (text: string) => Promise<Record<string, unknown>[]>;
  /** Folders beside the data folder. */
  folders(dataDir: string): Promise<string[]>;
  drop(): Promise<void>;
}

async function postgres(withRedis: boolean): Promise<Stores> {
  const [database, redis] = [await databaseEnv(), withRedis ? await startRedis() : undefined];
  return {
    env: { ...database.env, ...(redis && { REDIS_URL: redis.url }) },
    redis: redis?.url,
    sql: database.sql,
    folders: () => Promise.resolve([]),
    drop: async () => {
      await database.drop();
      await redis?.stop();
    },
  };
}

/** Root's cluster is not in the data folder, which names where it is. */
const embedded = (): Stores => ({
  env: {},
  folders: async (dataDir) => {
    const location = await readFile(join(dataDir, 'postgres.location'), 'utf8').catch(() => '');
    return location.startsWith('/') ? [location.trim()] : [];
  },
  drop: () => Promise.resolve(),
});

const MANNERS: Manner[] = ['answers', 'refuses', 'fails'];
const KEY_FILE = 'encryption.key';

describe.each([
  ['PostgreSQL and Redis', () => postgres(true)],
  ['PostgreSQL alone', () => postgres(false)],
  ['the embedded PostgreSQL', () => Promise.resolve(embedded())],
])('a service on %s', (_name, open) => {
  const traces = new Traces();
  const control = new Canary();
  const planted = new Map<string, Canary>();
  let stores: Stores;
  let service: Service;
  let provider: LeakyProvider;
  let dataDir: string;
  let client: ApiClient;

  const canary = (name: string): string => {
    const made = planted.get(name) ?? new Canary();
    planted.set(name, made);
    return made.secret;
  };

  beforeAll(async () => {
    [stores, provider, dataDir] = [await open(), await startLeakyProvider(), await makeDataFolder()];
    await startIt();
  }, 60_000);
  afterAll(async () => {
    await service.stop();
    await provider.stop();
    await stores.drop();
    await removeDataFolder(dataDir);
  });

  async function startIt(): Promise<void> {
    const entry = (name: string, type: string, more: object) => ({
      name,
      type,
      api_key: { env: 'HOUSE_KEY' },
      ...more,
    });
    const env = {
      ...stores.env,
      ...LOCAL_EGRESS,
      LOG_LEVEL: 'trace',
      AERIE_MODEL_MAX_RETRIES: '0',
      HOUSE_KEY: canary('of the operator, from the environment'),
      AERIE_CREDENTIALS: JSON.stringify([
        entry('house', 'openai_credential', { base_url: provider.url }),
        entry('keyed house', 'keyed_credential', {
          base_url: provider.url,
          passphrase: canary('of the operator, in the text'),
        }),
      ]),
    };
    service = await startService({ env, dataDir, program: KEYED_HOST });
    client = traces.client(service.url, 'alice');
  }

  async function talk(type: string, credential_id: string): Promise<string> {
    const chat_model_config = { type, credential_id, model: 'local' };
    const agent_id = await create(client, '/agent', { name: 'a', chat_model_config });
    const session_id = await create(client, '/sessions', { agent_id, fallback_chat_model_config: chat_model_config });
    const stream = await client.stream(session_id, '?after=0');
    for (const manner of MANNERS) {
      provider.manner = manner;
      await client.ok('POST', '/chat?wait=true', { session_id, input: { content: 'ping' } });
      await client.request('POST', `/credential/${credential_id}/verify`);
    }
    provider.manner = 'answers';
    await stream.replies(MANNERS.length);
    stream.close();
    await stream.end();
    const { runs } = await client.ok<{ runs: { id: string }[] }>('GET', `/sessions/${session_id}/runs`);
    for (const path of [
      `/credential/${credential_id}`,
      `/credential/${credential_id}/usages`,
      `/agent/${agent_id}`,
      `/sessions/${session_id}`,
      `/sessions/${session_id}/status`,
      ...runs.flatMap(({ id }) => [`/runs/${id}`, `/runs/${id}/explain`]),
    ]) {
      await client.ok('GET', path);
    }
    expect((await client.messages(session_id)).messages.length).toBeGreaterThanOrEqual(MANNERS.length);
    return session_id;
  }

  it('answers for credentials of every kind, in peace and in trouble', async () => {
    const { url: base_url } = provider;
    const data = { type: 'openai_credential', api_key: canary('stored'), base_url };
    const stored = await create(client, '/credential', { data });
    const keyed = await create(client, '/credential', {
      data: {
        type: 'keyed_credential',
        api_key: canary('of a host’s type'),
        passphrase: canary('a second one'),
        base_url,
      },
    });
    const list = await client.ok<{ credentials: { id: string; data: { type: string } }[] }>('GET', '/credential');
    expect(list.credentials).toHaveLength(4);
    for (const { id, data } of list.credentials) await talk(data.type, id);
    const seen = new Set(provider.calls.map((headers) => headers.authorization));
    for (const name of ['stored', 'of a host’s type', 'of the operator, from the environment']) {
      expect(seen).toContain(`Bearer ${canary(name)}`);
    }

    await client.ok('PATCH', `/credential/${stored}`, { data: { api_key: canary('patched in') } });
    await talk('openai_credential', stored);
    for (const [method, path, body] of [
      ['PATCH', `/credential/${stored}`, { data: { api_key: `${canary('with a space')} x` } }],
      ['PATCH', `/credential/${stored}`, { data: { api_key: { nested: canary('in an object') } } }],
      ['PATCH', `/credential/${stored}`, { data: { type: canary('as a type') } }],
      ['PATCH', `/credential/${stored}`, { data: { base_url: `https://u:${canary('in a URL')}@example.com/` } }],
      ['POST', '/credential', { data: { type: 'openai_credential', api_kee: canary('in a field that is none') } }],
      ['POST', '/credential', `{"data": {"type": "openai_credential", "api_key": "${canary('in broken JSON')}`],
      ['POST', '/credential', `${canary('in no JSON')}`],
    ] as const) {
      const answer = await client.request(method, path, body);
      expect([answer.status, path]).toEqual([400, path]);
    }
    expect((await client.request('DELETE', `/credential/${keyed}`)).status).toBe(409);
    await client.request('GET', '/openapi.json');
  }, 60_000);

  it('goes on when rows are broken and the database fails', async () => {
    const { sql } = stores;
    if (!sql) return expect(stores.env).toEqual({});
    const data = { type: 'openai_credential', api_key: canary('in a broken row'), base_url: provider.url };
    const id = await create(client, '/credential', { data });
    const other = await create(client, '/credential', { data: { ...data, api_key: canary('moved to another row') } });
    await sql(
      `UPDATE credentials SET secrets = (SELECT secrets FROM credentials WHERE id = '${other}') WHERE id = '${id}'`,
    );
    for (const [method, path, body, status] of [
      ['POST', `/credential/${id}/verify`, undefined, 500],
      ['PATCH', `/credential/${id}`, { data: { name: 'x' } }, 500],
      ['PATCH', `/credential/${id}`, { data: { api_key: canary('for a broken row') } }, 200],
    ] as const) {
      expect([method, (await client.request(method, path, body)).status]).toEqual([method, status]);
    }
    await sql('ALTER TABLE credentials RENAME TO away');
    for (const [method, path, body] of [
      ['POST', '/credential', { data: { ...data, api_key: canary('when the table is gone') } }],
      ['PATCH', `/credential/${other}`, { data: { api_key: canary('changed when the table is gone') } }],
      ['GET', '/credential', undefined],
    ] as const) {
      expect((await client.request(method, path, body)).status).toBe(500);
    }
    await sql('ALTER TABLE away RENAME TO credentials');
    await sql(`DELETE FROM credentials WHERE id = '${id}'`);
  });

  it('has its keys rotated, and starts again', async () => {
    const env = { ...stores.env, AERIE_DATA_DIR: dataDir };
    const ring = stores.env['AERIE_ENCRYPTION_KEYS'] ?? (await readFile(join(dataDir, KEY_FILE), 'utf8')).trim();
    const next = `${newKey()},${ring}`;
    const { code, output } = await rotate({ ...env, AERIE_ENCRYPTION_KEYS: next });
    traces.add('rotation', output);
    expect([code, output]).toEqual([0, expect.stringContaining('data keys wrapped anew: 1')]);
    traces.add('output of the first process', service.output());
    expect(await service.stop()).toBe(0);
    stores = { ...stores, env: { ...stores.env, AERIE_ENCRYPTION_KEYS: next } };
    await startIt();
    const list = await client.ok<{ credentials: { id: string; data: { type: string } }[] }>('GET', '/credential');
    for (const { id, data } of list.credentials) await talk(data.type, id);
  }, 60_000);

  it('has written none of the secrets anywhere; what is no secret is found everywhere', async () => {
    // The control is planted where a text may stand, and read back.
    const { session_id } = await client.demoSession();
    const headers = { 'x-anything': control.secret };
    await client.request('POST', '/chat?wait=true', { session_id, input: { content: control.secret } }, headers);
    await client.messages(session_id);
    const stream = await client.stream(session_id, '?after=0');
    await stream.replies(1);
    stream.close();
    await stream.end();
    await writeFile(join(dataDir, 'control'), control.secret);

    if (stores.sql) await traces.database(stores.sql);
    if (stores.redis) await traces.redis(stores.redis);
    expect(await service.stop()).toBe(0);
    traces.add('output', service.output());
    const folders = [dataDir, ...(await stores.folders(dataDir))];
    for (const folder of folders) await traces.folder(folder, [KEY_FILE]);

    expect(traces.findText('data keys wrapped anew: 1')).toEqual(['rotation']);
    const found = traces.find(control);
    const wanted = ['answers', 'streams', 'output', 'file control'];
    expect(found).toEqual(expect.arrayContaining(wanted));
    if (stores.sql) expect(found).toContain('table public.messages');
    if (stores.redis) expect(found).toContain('redis');
    // The rows of the embedded one stand in its files.
    else if (!stores.sql) expect(found.filter((place) => place.startsWith('file ')).length).toBeGreaterThan(1);

    const secrets = stores.sql ? 15 : 11;
    expect(planted.size).toBeGreaterThanOrEqual(secrets);
    for (const [name, it] of planted) expect([name, traces.find(it)]).toEqual([name, []]);
    for (const key of (stores.env['AERIE_ENCRYPTION_KEYS'] ?? '').split(',')) {
      expect(traces.findText(key.slice(0, -1))).toEqual([]);
    }
  }, 60_000);
});

describe('the search', () => {
  it.each([
    ['as it is', (secret: string) => `x${secret}x`],
    ['in hex', (secret: string) => Buffer.from(secret).toString('hex')],
    ['in base64', (secret: string) => Buffer.from(secret).toString('base64')],
    ['in base64 with something before it', (secret: string) => Buffer.from(`ab:${secret}`).toString('base64')],
    ['in base64url', (secret: string) => Buffer.from(`a:${secret}`).toString('base64url')],
    ['without its end', (secret: string) => secret.slice(0, -10)],
    ['without its beginning', (secret: string) => secret.slice(10)],
    ['in JSON', (secret: string) => JSON.stringify({ secret })],
    ['in a URL', (secret: string) => encodeURIComponent(secret)],
  ])('finds a secret %s', (_name, spell) => {
    const canary = new Canary();
    const traces = new Traces();
    traces.add('here', `before ${spell(canary.secret)} after`);
    traces.add('there', new Canary().secret);
    expect(traces.find(canary)).toEqual(['here']);
  });
});
