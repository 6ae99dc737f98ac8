import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { randomBytes } from 'node:crypto';
import { createApp } from '../../src/bootstrap.js';
import { KeyRotation } from '../../src/credentials/key-rotation.service.js';
import { loadConfig } from '../../src/platform/config/config.js';
import type { KeyProvider } from '../../src/platform/crypto/key-provider.js';
import { databaseEnv } from '../support/rig.js';
import { KeyServer, RemoteKeys } from '../support/remote-keys.js';

/** A host application whose master keys are in a key management service. */
let database: Awaited<ReturnType<typeof databaseEnv>>;
let server: KeyServer;
let app: NestFastifyApplication | undefined;

beforeAll(async () => {
  database = await databaseEnv();
  server = await KeyServer.start(new Map(['arn:1', 'arn:2'].map((id) => [id, randomBytes(32)])));
});
afterAll(async () => {
  await app?.close();
  await server.stop();
  await database.drop();
});

async function start(keyProvider: KeyProvider | undefined, withRing: boolean): Promise<void> {
  await app?.close();
  app = undefined;
  const { AERIE_ENCRYPTION_KEYS, ...env } = database.env;
  const config = loadConfig({ ...env, ...(withRing ? { AERIE_ENCRYPTION_KEYS } : {}), LOG_LEVEL: 'silent' });
  app = await createApp({ config, keyProvider });
  await app.init();
}

async function ask(method: 'POST' | 'PATCH', url: string, payload: object, tenant = 'acme') {
  const headers = { host: 'localhost', 'x-user-id': 'alice', 'x-tenant-id': tenant };
  const answer = await app?.inject({ method, url, headers, payload });
  if (!answer) throw new Error('not started');
  return { status: answer.statusCode, headers: answer.headers, body: answer.json<Record<string, unknown>>() };
}

const data = { type: 'openai_credential', api_key: 'sk-1' };
const kids = async () =>
  (await database.sql('SELECT DISTINCT kid FROM tenant_keys ORDER BY 1')).map((row) => row['kid']);
const remote = (active = 'arn:1', known?: string[]) => new RemoteKeys(server.url, active, known);

it('moves from keys of the environment to a key service by a rotation', async () => {
  await start(undefined, true);
  const { body } = await ask('POST', '/credential', { data });
  const patch = () => ask('PATCH', `/credential/${String(body['credential_id'])}`, { data: { name: 'n' } });
  await expect(start(remote(), false)).rejects.toThrow(/sealed with key [0-9a-f]{16}, which this process lacks/);

  await start(remote(), true);
  expect((await patch()).status).toBe(200);
  const progress: number[] = [];
  const result = await app?.get(KeyRotation).rotate(({ rewrapped }) => progress.push(rewrapped));
  expect(result).toMatchObject({
    rewrapped: 1,
    unreadable: 0,
    uses: [{ kid: 'arn:1', data_keys: 1, is_active: true }],
  });
  expect(progress.at(-1)).toBe(1);
  expect(await kids()).toEqual(['arn:1']);

  await start(remote(), false);
  expect((await patch()).status).toBe(200);
});

it('says that it is unavailable while the key service is away, and goes on with the keys it has open', async () => {
  await start(remote(), false);
  const { body } = await ask('POST', '/credential', { data });
  const patch = () => ask('PATCH', `/credential/${String(body['credential_id'])}`, { data: { name: 'n' } });
  server.failing = true;
  try {
    expect((await patch()).status).toBe(200);
    const refused = await ask('POST', '/credential', { data }, 'newcomer');
    expect(refused).toMatchObject({ status: 503, body: { error: { code: 'unavailable' } } });
    expect(refused.headers['retry-after']).toBe('5');
    expect(JSON.stringify(refused.body)).not.toMatch(/arn|503|server/);
  } finally {
    server.failing = false;
  }
  expect((await ask('POST', '/credential', { data }, 'newcomer')).status).toBe(201);
});

it('does not start when the key service has disabled a key that is in use, and does when it is rotated away', async () => {
  await start(remote('arn:2', ['arn:2', 'arn:1']), false);
  await app?.get(KeyRotation).rotate(() => undefined);
  expect(await kids()).toEqual(['arn:2']);
  server.disabled.add('arn:1');
  await start(remote('arn:2'), false);
  server.disabled.add('arn:2');
  await expect(start(remote('arn:2'), false)).rejects.toThrow(/sealed with key arn:2, which this process lacks/);
  server.disabled.clear();
});
