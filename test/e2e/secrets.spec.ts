import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { chmod, mkdtemp, readFile, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from '../support/client.js';
import { type OpenAiServer, startOpenAiServer } from '../support/openai-server.js';
import { fetchOpenApi, routesOf } from '../support/openapi.js';
import { codeOf } from '../support/raw-http.js';
import { type Ids, RequestBuilder } from '../support/request-builder.js';
import { databaseEnv, newKey, type Rig, startRig } from '../support/rig.js';
import { runToExit, startService } from '../support/service.js';

const KEY = 'sk-canary-stored-4711';
const NEXT_KEY = 'sk-canary-changed-4712';
const PROXY_SECRET = 'canary-proxy-secret-4713';
const HEADERS = {
  authorization: 'Bearer canary-authorization-4714',
  cookie: 'session=canary-cookie-4715',
  'x-api-key': 'canary-header-key-4716',
};

let rig: Rig;
let client: ApiClient;
let model: OpenAiServer;
let ids: Omit<Ids, 'run' | 'approval'>;

beforeAll(async () => {
  model = await startOpenAiServer();
  rig = await startRig({ LOG_LEVEL: 'trace', TRUSTED_PROXY_SECRET: PROXY_SECRET });
  client = rig.client('alice', { ...HEADERS, 'x-aerie-proxy-secret': PROXY_SECRET });
  ids = await openAiSession(KEY);
}, 30_000);

afterAll(async () => {
  await rig.stop();
  await model.stop();
});

async function openAiSession(api_key: string): Promise<Omit<Ids, 'run' | 'approval'>> {
  const data = { type: 'openai_credential', name: 'ours', api_key, base_url: model.url };
  const { credential_id } = await client.ok<{ credential_id: string }>('POST', '/credential', { data });
  const chat_model_config = { type: 'openai_credential', credential_id, model: 'local' };
  const { agent_id } = await client.ok<{ agent_id: string }>('POST', '/agent', { name: 'a', chat_model_config });
  const { session_id } = await client.ok<{ session_id: string }>('POST', '/sessions', { agent_id });
  return { agent: agent_id, credential: credential_id, session: session_id };
}

/** One turn of the session; the text of its stream. */
async function turn(session: string): Promise<string> {
  const { last } = await sequence(session);
  await client.say(session, 'ping');
  const stream = await client.stream(session, `?after=${last}`);
  await stream.replies();
  stream.close();
  return stream.raw;
}

async function sequence(session: string): Promise<{ last: number }> {
  return { last: (await client.messages(session)).as_of_seq };
}

const lastKey = () => model.calls.at(-1)?.authorization;
const envelope = async (id: string) =>
  JSON.stringify((await rig.sql(`SELECT secrets FROM credentials WHERE id = '${id}'`))[0]?.['secrets']);

describe('a stored key', () => {
  it('is what the provider is called with', async () => {
    expect(await turn(ids.session)).toContain('pong');
    expect(lastKey()).toBe(`Bearer ${KEY}`);
  });

  it('stays when a PATCH does not name it, sealed anew', async () => {
    const before = await envelope(ids.credential);
    const changed = await client.ok('PATCH', `/credential/${ids.credential}`, { data: { name: 'renamed' } });
    expect(changed).toMatchObject({ data: { name: 'renamed', type: 'openai_credential', base_url: model.url } });
    expect(await envelope(ids.credential)).not.toBe(before);
    await turn(ids.session);
    expect(lastKey()).toBe(`Bearer ${KEY}`);
  });

  it('changes when a PATCH names another', async () => {
    await client.ok('PATCH', `/credential/${ids.credential}`, { data: { api_key: NEXT_KEY } });
    await turn(ids.session);
    expect(lastKey()).toBe(`Bearer ${NEXT_KEY}`);
  });

  it('what a provider says of it in a refusal reaches no client', async () => {
    model.refusing = true;
    const raw = await turn(ids.session);
    model.refusing = false;
    expect(raw).toContain('authentication');
    expect(raw).not.toContain('sk-can');
    expect(JSON.stringify(await client.messages(ids.session))).not.toContain('sk-can');
  });
});

describe('no canary appears', () => {
  it('in the answer of any GET', async () => {
    const document = await fetchOpenApi(rig.url).catch(() => client.ok<never>('GET', '/openapi.json'));
    const builder = new RequestBuilder(document);
    const gets = routesOf(document).filter((route) => route.method === 'GET' && !route.path.endsWith('/stream'));
    expect(gets.length).toBeGreaterThan(10);
    const { runs } = await client.ok<{ runs: [{ id: string }] }>('GET', `/sessions/${ids.session}/runs`);
    const [run] = runs;
    const { agent_id } = await client.demoSession();
    const approval = await client.approval(agent_id);
    for (const route of gets) {
      const answer = await client.request('GET', builder.build(route, { ...ids, run: run.id, approval }).path);
      expect([route.name, answer.status]).toEqual([route.name, 200]);
      expect(answer.text + JSON.stringify([...answer.headers])).not.toContain('canary');
    }
    const stream = await client.stream(ids.session, '?after=0');
    await stream.replies(4);
    stream.close();
    expect(stream.raw).not.toContain('canary');
  });

  it.each([
    ['a key that is none', { api_key: 'canary with a space' }],
    ['a key of another type', { api_key: { canary: 'canary' } }],
    ['another type of credential', { type: 'demo_credential', api_key: 'canary' }],
    ['an unknown field', { api_secret: 'canary' }],
    ['a base_url that carries a password', { base_url: 'https://user:canary@example.com/v1' }],
    ['a base_url with a key in its query', { base_url: 'https://example.com/v1?key=canary' }],
  ])('in the refusal of %s', async (_name, data) => {
    for (const [method, path, body] of [
      ['PATCH', `/credential/${ids.credential}`, { data }],
      ['POST', '/credential', { data: { type: 'openai_credential', api_key: 'canary', ...data } }],
    ] as const) {
      const answer = await client.request(method, path, body);
      expect([answer.status, codeOf(answer)]).toEqual([400, 'validation_failed']);
      expect(answer.text).not.toContain('canary');
    }
  });

  it('in a request that is refused for its secret', async () => {
    const answer = await client.request('GET', '/agent', undefined, { 'x-aerie-proxy-secret': 'canary-wrong-secret' });
    expect([answer.status, codeOf(answer)]).toEqual([401, 'unauthenticated']);
    expect(answer.text).not.toContain('canary');
  });

  it('in any row of any table', async () => {
    const tables = await rig.sql(
      `SELECT format('%I.%I', table_schema, table_name) AS name FROM information_schema.tables
       WHERE table_type = 'BASE TABLE' AND table_schema NOT IN ('pg_catalog', 'information_schema')`,
    );
    expect(tables.length).toBeGreaterThan(8);
    const encoded = [KEY, NEXT_KEY].map((key) => Buffer.from(key).toString('base64').slice(0, 20));
    let rows = 0;
    for (const { name } of tables) {
      for (const { row } of await rig.sql(`SELECT row_to_json(t)::text AS row FROM ${String(name)} t`)) {
        rows += 1;
        expect(row).not.toContain('canary');
        for (const text of encoded) expect(row).not.toContain(text);
      }
    }
    expect(rows).toBeGreaterThan(10);
  });

  it('in anything the process says at its most talkative', async () => {
    await rig.sql('ALTER TABLE agents RENAME TO agents_away');
    const broken = await client.request('GET', '/agent');
    await rig.sql('ALTER TABLE agents_away RENAME TO agents');
    expect([broken.status, codeOf(broken)]).toEqual([500, 'internal_error']);
    const output = rig.service.output();
    expect(output).toContain('[redacted]');
    const places = [...output.matchAll(/.{0,120}canary.{0,40}/g)].map(([place]) => place);
    expect(places).toEqual([]);
  });
});

describe('an envelope of another row', () => {
  it('does not open: a typed error, and the service lives on; with its secrets given anew it is of use again', async () => {
    const other = await openAiSession('sk-other');
    await rig.sql(
      `UPDATE credentials SET secrets = (SELECT secrets FROM credentials WHERE id = '${ids.credential}')
       WHERE id = '${other.credential}'`,
    );
    const calls = model.calls.length;
    for (const [method, path, body] of [
      ['POST', '/chat', { session_id: other.session, input: { content: 'ping' } }],
      ['PATCH', `/credential/${other.credential}`, { data: { name: 'x' } }],
    ] as const) {
      const answer = await client.request(method, path, body);
      expect([method, answer.status, codeOf(answer)]).toEqual([method, 500, 'credential_unreadable']);
    }
    expect(model.calls.length).toBe(calls);
    expect((await client.request('GET', `/credential/${other.credential}`)).status).toBe(200);
    await client.ok('PATCH', `/credential/${other.credential}`, { data: { api_key: 'sk-anew' } });
    expect(await turn(other.session)).toContain('pong');
    await client.ok('DELETE', `/credential/${other.credential}?force=true`);
    expect(await turn(ids.session)).toContain('pong');
  });
});

describe('the keys of a deployment', () => {
  it('come from a file only its owner reads when none are given; other keys stop the start', async () => {
    const database = await databaseEnv();
    const { DATABASE_URL } = database.env;
    const dataDir = await mkdtemp(join(tmpdir(), 'aerie-keys-'));
    const file = join(dataDir, 'encryption.key');
    try {
      const first = await startService({ env: { DATABASE_URL }, dataDir });
      const data = { type: 'openai_credential', api_key: KEY };
      await new ApiClient(first.url).ok('POST', '/credential', { data });
      await first.stop();
      expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600');

      const own = (await readFile(file, 'utf8')).trim();
      expect(Buffer.from(own, 'base64')).toHaveLength(32);
      const stranger = newKey();
      const refused = await runToExit({ env: { DATABASE_URL, AERIE_ENCRYPTION_KEYS: stranger } });
      expect(refused.code).toBe(1);
      expect(refused.output).toMatch(/^Aerie cannot start: AERIE_ENCRYPTION_KEYS: .*lacks$/m);
      expect(refused.output).not.toContain(own);
      expect(refused.output).not.toContain(stranger);

      const both = await startService({ env: { DATABASE_URL, AERIE_ENCRYPTION_KEYS: `${stranger},${own}` } });
      expect(await both.stop()).toBe(0);

      await chmod(file, 0o644);
      const again = await startService({ env: { DATABASE_URL }, dataDir });
      await again.stop();
      expect(((await stat(file)).mode & 0o777).toString(8)).toBe('600');
    } finally {
      await rm(dataDir, { recursive: true, force: true });
      await database.drop();
    }
  }, 30_000);
});
