import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { ApiClient } from '../support/client.js';
import { create, refusal } from '../support/crud.js';
import { eventually } from '../support/eventually.js';
import { type LeakyProvider, startLeakyProvider } from '../support/leaky-provider.js';
import { problem } from '../support/raw-http.js';
import { LOCAL_EGRESS, type Rig, startRig } from '../support/rig.js';
import { KEYED_HOST } from '../support/service.js';

interface Usages {
  agents: { id: string; name: string; fields: string[] }[];
  sessions: { id: string; name: string; agent_id: string; fields: string[] }[];
  schedules: unknown[];
  totals: { agents: number; sessions: number; schedules: number };
}

const type = 'keyed_credential';
let rig: Rig;
let client: ApiClient;
let provider: LeakyProvider;

beforeAll(async () => {
  provider = await startLeakyProvider();
  rig = await startRig(LOCAL_EGRESS, KEYED_HOST);
  client = rig.client();
}, 30_000);
afterAll(async () => {
  await rig.stop();
  await provider.stop();
});

const keyed = (from: ApiClient, more: object = {}) =>
  create(from, '/credential', { data: { type, api_key: 'sk-canary-verify', ...more } });
const model = (credential_id: string) => ({ type, credential_id, model: 'm' });
const usagesOf = (id: string, from = client) => from.ok<Usages>('GET', `/credential/${id}/usages`);

describe('POST /credential/{id}/verify', () => {
  const verify = (id: string, from = client) => from.request('POST', `/credential/${id}/verify`);

  it('says that the provider took it', async () => {
    const from = rig.client('v1');
    const id = await keyed(from, { base_url: provider.url });
    const before = provider.calls.length;
    expect((await verify(id, from)).body).toEqual({ ok: true });
    expect(provider.calls[before]?.authorization).toBe('Bearer sk-canary-verify');
    const demo = await create(from, '/credential', { data: { type: 'demo_credential' } });
    expect((await verify(demo, from)).body).toEqual({ ok: true });
  });

  it.each([
    ['refuses', 'authentication', 'The model provider did not accept the credential.'],
    ['fails', 'upstream', 'The model provider failed to answer.'],
  ] as const)(
    'says of what class it is when the provider %s, and nothing of what it said',
    async (manner, kind, message) => {
      const from = rig.client('v2');
      const id = await keyed(from, { base_url: provider.url, passphrase: 'canary-passphrase' });
      provider.manner = manner;
      const answer = await verify(id, from);
      provider.manner = 'answers';
      expect([answer.status, answer.body]).toEqual([200, { ok: false, error: { type: kind, message } }]);
      await eventually(() => rig.service.output().includes(`"failure":"${kind}"`) || undefined);
      expect(rig.service.output()).not.toContain('canary');
    },
  );

  it('says so of a server that is not there', async () => {
    const from = rig.client('v3');
    const id = await keyed(from, { base_url: 'http://127.0.0.1:1/' });
    const { status, body } = await verify(id, from);
    expect([status, body]).toMatchObject([200, { ok: false, error: { type: expect.any(String) } }]);
    expect(JSON.stringify(body)).not.toMatch(/ECONN|127\.0/);
  });

  it('gives up on a server that says nothing', async () => {
    const from = rig.client('v4');
    const id = await keyed(from, { base_url: provider.url });
    provider.manner = 'silent';
    const answer = await verify(id, from);
    provider.manner = 'answers';
    expect(answer.body).toMatchObject({ ok: false, error: { type: 'connection' } });
  }, 30_000);

  it('is refused for a type that nobody can be asked about', async () => {
    const id = await create(client, '/credential', { data: { type: 'mute_credential' } });
    expect(refusal(await verify(id))).toEqual([400, 'credential_not_verifiable']);
  });

  it('is for those who may write credentials, so often, and for others all the same', async () => {
    const from = rig.client('hasty');
    const id = await keyed(from);
    const answers = await Promise.all(Array.from({ length: 25 }, () => verify(id, from)));
    const refused = answers.filter(({ status }) => status !== 200);
    expect(refused).toHaveLength(5);
    expect(refusal(refused[0] ?? answers[0]!)).toEqual([429, 'too_many_verifications']);
    expect(Number(refused[0]?.headers.get('retry-after'))).toBeGreaterThan(0);
    const other = rig.client('calm');
    expect((await verify(await keyed(other), other)).status).toBe(200);
  });
});

describe('GET /credential/{id}/usages', () => {
  it('names the agents and sessions that name it, in which field, newest first', async () => {
    const from = rig.client('u1');
    const [id, other] = [await keyed(from), await keyed(from)];
    expect(await usagesOf(id, from)).toEqual({
      agents: [],
      sessions: [],
      schedules: [],
      totals: { agents: 0, sessions: 0, schedules: 0 },
    });
    const both = { chat_model_config: model(id), fallback_chat_model_config: model(id) };
    const one = await create(from, '/agent', { name: 'one', ...both });
    const two = await create(from, '/agent', {
      name: 'two',
      chat_model_config: model(other),
      // As a client may write it.
      fallback_chat_model_config: model(id.toUpperCase()),
    });
    const session = await create(from, '/sessions', { agent_id: two, name: 's', chat_model_config: model(id) });
    await create(from, '/sessions', { agent_id: one, name: 'of its agent' });
    expect(await usagesOf(id, from)).toEqual({
      agents: [
        { id: two, name: 'two', fields: ['fallback_chat_model_config'] },
        { id: one, name: 'one', fields: ['chat_model_config', 'fallback_chat_model_config'] },
      ],
      sessions: [{ id: session, name: 's', agent_id: two, fields: ['chat_model_config'] }],
      schedules: [],
      totals: { agents: 2, sessions: 1, schedules: 0 },
    });
    await from.ok('PATCH', `/sessions/${session}`, { chat_model_config: null });
    await from.ok('PATCH', `/agent/${one}`, { chat_model_config: model(other) });
    await from.ok('DELETE', `/agent/${two}`);
    expect(await usagesOf(id, from)).toMatchObject({
      agents: [{ id: one, fields: ['fallback_chat_model_config'] }],
      sessions: [],
    });
  });

  it('names the newest hundred and counts all', async () => {
    const from = rig.client('u2');
    const id = await keyed(from);
    const agent_id = await create(from, '/agent', { name: 'a' });
    const config = JSON.stringify({ name: 's', chat_model_config: model(id), fallback_chat_model_config: null });
    await rig.sql(`
      INSERT INTO sessions (tenant_id, id, user_id, agent_id, config, state)
      SELECT 'default', gen_random_uuid(), 'u2', '${agent_id}', '${config}', '{}' FROM generate_series(1, 250)`);
    const { sessions, totals } = await usagesOf(id, from);
    expect([sessions.length, totals.sessions]).toEqual([100, 250]);
    const ids = sessions.map((it) => it.id);
    expect(ids).toEqual([...ids].sort().reverse());
  });

  it('looks by indexes, also among many sessions', async () => {
    const agent_id = await create(rig.client('u3'), '/agent', { name: 'a' });
    await rig.sql(`
      INSERT INTO sessions (tenant_id, id, user_id, agent_id, config, state)
      SELECT 'default', gen_random_uuid(), 'u3', '${agent_id}', '{"name": "s"}', '{}' FROM generate_series(1, 5000)`);
    await rig.sql('ANALYZE sessions');
    for (const name of ['chat', 'fallback_chat']) {
      const at = `config #>> '{${name}_model_config,credential_id}'`;
      const plan = await rig.sql(
        `EXPLAIN SELECT id FROM sessions WHERE tenant_id = 'default' AND user_id = 'u3' AND deleted_at IS NULL
           AND ${at} IS NOT NULL AND lower(${at}) = '${randomUUID()}'`,
      );
      expect(JSON.stringify(plan)).toContain(`sessions_${name.replace('_chat', '')}_credential`);
    }
  });
});

describe('DELETE /credential/{id}', () => {
  it('is refused while something uses it, and says what', async () => {
    const from = rig.client('d1');
    const id = await keyed(from);
    const agent = await create(from, '/agent', { name: 'a', chat_model_config: model(id) });
    const answer = await from.request('DELETE', `/credential/${id}`);
    expect(refusal(answer)).toEqual([409, 'credential_in_use']);
    expect(problem(answer).error.details).toEqual(await usagesOf(id, from));
    expect((await from.request('GET', `/credential/${id}`)).status).toBe(200);
    await from.ok('DELETE', `/agent/${agent}`);
    expect((await from.request('DELETE', `/credential/${id}`)).status).toBe(204);
  });

  it('goes through with force; what used it then says what is missing', async () => {
    const from = rig.client('d2');
    const id = await keyed(from);
    const agent_id = await create(from, '/agent', { name: 'a', chat_model_config: model(id) });
    const session_id = await create(from, '/sessions', { agent_id });
    expect((await from.request('DELETE', `/credential/${id}?force=false`)).status).toBe(409);
    expect((await from.request('DELETE', `/credential/${id}?force=maybe`)).status).toBe(400);
    expect((await from.request('DELETE', `/credential/${id}?force=true`)).status).toBe(204);
    expect(refusal(await from.request('DELETE', `/credential/${id}?force=true`))).toEqual([
      404,
      'credential_not_found',
    ]);
    const answer = await from.request('POST', '/chat', { session_id, input: { content: 'x' } });
    expect(refusal(answer)).toEqual([404, 'credential_not_found']);
  });
});

describe('PATCH /credential/{id}', () => {
  it.each([null, '', 7])('does not take %j for a secret it needs, and keeps the one it has', async (api_key) => {
    const from = rig.client('p1');
    const id = await keyed(from);
    expect(refusal(await from.request('PATCH', `/credential/${id}`, { data: { api_key } }))).toEqual([
      400,
      'validation_failed',
    ]);
    const before = provider.calls.length;
    await from.ok('PATCH', `/credential/${id}`, { data: { base_url: provider.url } });
    expect((await from.request('POST', `/credential/${id}/verify`)).body).toEqual({ ok: true });
    expect(provider.calls[before]?.authorization).toBe('Bearer sk-canary-verify');
  });

  it('takes null for one it need not have', async () => {
    const from = rig.client('p2');
    const id = await keyed(from, { passphrase: 'pass', base_url: provider.url });
    const passphrase = async () => {
      const before = provider.calls.length;
      await from.ok('POST', `/credential/${id}/verify`);
      return provider.calls[before]?.['x-passphrase'];
    };
    expect(await passphrase()).toBe('pass');
    await from.ok('PATCH', `/credential/${id}`, { data: { name: 'x' } });
    expect(await passphrase()).toBe('pass');
    await from.ok('PATCH', `/credential/${id}`, { data: { passphrase: null } });
    expect(await passphrase()).toBeUndefined();
  });

  it('loses no field when many change it at once', async () => {
    const from = rig.client('p3');
    const id = await keyed(from, { base_url: provider.url });
    const changes = [{ region: 'west' }, { name: 'renamed' }, { passphrase: 'new' }, { api_key: 'sk-next' }];
    const answers = await Promise.all(changes.map((data) => from.request('PATCH', `/credential/${id}`, { data })));
    expect(answers.map((it) => it.status)).toEqual([200, 200, 200, 200]);
    expect(await from.ok('GET', `/credential/${id}`)).toMatchObject({ data: { region: 'west', name: 'renamed' } });
    const before = provider.calls.length;
    await from.ok('POST', `/credential/${id}/verify`);
    expect(provider.calls[before]).toMatchObject({ authorization: 'Bearer sk-next', 'x-passphrase': 'new' });
  });
});

describe('a row that somebody changed in the database', () => {
  it.each([
    ['where it is sent to', `data = data || '{"base_url": "http://127.0.0.1:2/"}'`],
    ['its type', `type = 'mute_credential'`],
    ['its secret, away', 'secrets = NULL'],
    ['its secret, to something else', `secrets = '{"v": 2}'`],
    ['a byte of its secret', `secrets = jsonb_set(secrets, '{data}', to_jsonb(reverse(secrets->>'data')))`],
    ['its key', `secrets = jsonb_set(secrets, '{key}', to_jsonb(gen_random_uuid()))`],
  ])('(%s) is a typed error, and nothing is sent', async (_name, change) => {
    const from = rig.client('t1');
    const id = await keyed(from, { base_url: provider.url });
    await rig.sql(`UPDATE credentials SET ${change} WHERE id = '${id}'`);
    const before = provider.calls.length;
    const answer = await from.request('POST', `/credential/${id}/verify`);
    const expected = change.startsWith('type')
      ? [
          [500, 'credential_unreadable'],
          [400, 'credential_not_verifiable'],
        ]
      : [[500, 'credential_unreadable']];
    expect(expected).toContainEqual(refusal(answer));
    expect(answer.text).not.toMatch(/authenticate|key|seal/i);
    expect(provider.calls).toHaveLength(before);
    expect((await from.request('GET', `/credential/${id}`)).status).toBe(200);
  });
});
