import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { codeOf, problem, send } from '../support/raw-http.js';
import { type Rig, startRig } from '../support/rig.js';

const SECRET = 'a-secret-of-the-gateway';
const JSON_TYPE = { 'content-type': 'application/json' };

interface Created {
  agent_id: string;
}

/** Who the service takes the sender of these headers for: the owner of what it makes. */
async function whoami(url: string, headers: Record<string, string>, body: Record<string, unknown> = {}) {
  const name = JSON.stringify({ name: 'who', ...body });
  const made = await send(url, '/agent', { method: 'POST', headers: { ...JSON_TYPE, ...headers }, body: name });
  if (made.status !== 201) return { status: made.status, code: codeOf(made) };
  const { agent_id } = made.body as unknown as Created;
  return { agent_id };
}

describe('AUTH_MODE=header', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  }, 30_000);
  afterAll(() => rig.stop());

  const owner = async (agent_id: string) =>
    (await rig.sql(`SELECT tenant_id, user_id FROM agents WHERE id = '${agent_id}'`))[0];

  it.each([
    [{ 'x-user-id': 'alice' }, { tenant_id: 'default', user_id: 'alice' }],
    [
      { 'x-user-id': 'alice', 'x-tenant-id': 'acme' },
      { tenant_id: 'acme', user_id: 'alice' },
    ],
    [
      { 'x-user-id': '  alice  ', 'x-tenant-id': ' ' },
      { tenant_id: 'default', user_id: 'alice' },
    ],
    [{ 'x-user-id': 'a user@example.com|7' }, { tenant_id: 'default', user_id: 'a user@example.com|7' }],
    [{ 'x-user-id': 'u'.repeat(256) }, { tenant_id: 'default', user_id: 'u'.repeat(256) }],
  ])('%j is believed', async (headers, expected) => {
    const { agent_id } = await whoami(rig.url, headers);
    expect(await owner(String(agent_id))).toEqual(expected);
  });

  it.each<Record<string, string>>([
    {},
    { 'x-user-id': '' },
    { 'x-user-id': '   ' },
    { 'x-tenant-id': 'acme' },
    { authorization: 'Bearer anything' },
    { 'x-user-id': 'a\u0085b' },
    { 'x-user-id': 'a\u00adb' },
    { 'x-user-id': 'u'.repeat(257) },
    { 'x-user-id': 'alice', 'x-tenant-id': 't'.repeat(257) },
    { 'x-user-id': 'alice', 'x-tenant-id': 'a\u0085b' },
  ])('%j is nobody', async (headers) => {
    expect(await whoami(rig.url, headers)).toEqual({ status: 401, code: 'unauthenticated' });
  });

  it('keeps tenants apart', async () => {
    const { agent_id } = await whoami(rig.url, { 'x-user-id': 'bob', 'x-tenant-id': 'one' });
    const path = `/agent/${String(agent_id)}`;
    expect((await send(rig.url, path, { headers: { 'x-user-id': 'bob', 'x-tenant-id': 'one' } })).status).toBe(200);
    expect((await send(rig.url, path, { headers: { 'x-user-id': 'bob', 'x-tenant-id': 'two' } })).status).toBe(404);
    expect((await send(rig.url, path, { headers: { 'x-user-id': 'bob' } })).status).toBe(404);
  });

  it('says what it wants', async () => {
    const answer = await send(rig.url, '/agent', { headers: { 'x-request-id': 'who' } });
    expect(problem(answer)).toEqual({
      error: { code: 'unauthenticated', message: 'The request names no caller.' },
      request_id: 'who',
    });
    expect(answer.headers['www-authenticate']).toBe('Bearer');
  });

  it('does not take the user from a body', async () => {
    expect(await whoami(rig.url, {}, { user_id: 'alice' })).toEqual({ status: 401, code: 'unauthenticated' });
  });
});

describe('TRUSTED_PROXY_SECRET', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ TRUSTED_PROXY_SECRET: SECRET });
  }, 30_000);
  afterAll(() => rig.stop());

  it('is asked for with every identity', async () => {
    const user = { 'x-user-id': 'alice' };
    expect((await send(rig.url, '/agent', { headers: { ...user, 'x-aerie-proxy-secret': SECRET } })).status).toBe(200);
    const wrongs: Record<string, string>[] = [
      {},
      { 'x-aerie-proxy-secret': '' },
      { 'x-aerie-proxy-secret': `${SECRET}x` },
    ];
    for (const wrong of wrongs) {
      const answer = await send(rig.url, '/agent', { headers: { ...user, ...wrong } });
      expect([answer.status, codeOf(answer)]).toEqual([401, 'unauthenticated']);
      expect(answer.text).not.toContain(SECRET);
    }
  });

  it('is not asked for by the probes, and alone is nobody', async () => {
    expect((await send(rig.url, '/readiness')).status).toBe(200);
    expect((await send(rig.url, '/agent', { headers: { 'x-aerie-proxy-secret': SECRET } })).status).toBe(401);
  });
});

describe('AUTH_MODE=open', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig({ AUTH_MODE: 'open' });
  }, 30_000);
  afterAll(() => rig.stop());

  it.each([
    ['nothing is said', {}, {}, { tenant_id: 'default', user_id: 'default' }],
    ['the body names one', {}, { user_id: 'carol' }, { tenant_id: 'default', user_id: 'carol' }],
    ['a header names one', { 'x-user-id': 'alice' }, { user_id: 'carol' }, { tenant_id: 'default', user_id: 'alice' }],
    ['a header names a tenant', { 'x-tenant-id': 'acme' }, {}, { tenant_id: 'acme', user_id: 'default' }],
    ['the body names no text', {}, { user_id: 7 }, { tenant_id: 'default', user_id: 'default' }],
  ])('knows who calls when %s', async (_name, headers, body, expected) => {
    const { agent_id } = await whoami(rig.url, headers, body);
    const rows = await rig.sql(`SELECT tenant_id, user_id FROM agents WHERE id = '${String(agent_id)}'`);
    expect(rows).toEqual([expected]);
  });

  it('refuses a user that is no identity', async () => {
    expect(await whoami(rig.url, {}, { user_id: 'a\nb' })).toEqual({ status: 401, code: 'unauthenticated' });
  });

  it('carries a conversation without any header', async () => {
    const post = async (path: string, body: unknown) => {
      const answer = await send(rig.url, path, { method: 'POST', headers: JSON_TYPE, body: JSON.stringify(body) });
      expect([path, answer.status < 300]).toEqual([path, true]);
      return answer.body;
    };
    const { credential_id } = await post('/credential', { data: { type: 'demo_credential' } });
    const chat_model_config = { type: 'demo_credential', credential_id, model: 'demo-1' };
    const { agent_id } = await post('/agent', { name: 'helper', chat_model_config });
    const { session_id } = await post('/sessions', { agent_id });
    await post('/chat', { session_id, agent_id, input: { role: 'user', content: 'Hello' } });
    const stream = await rig.client('default').stream(String(session_id));
    await stream.replies();
    stream.close();
    expect(stream.seen.map(({ event }) => ('delta' in event ? event.delta : '')).join('')).toBe('You said: Hello');
  });
});
