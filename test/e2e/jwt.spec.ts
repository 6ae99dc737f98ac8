import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { SignJWT, type JWTPayload } from 'jose';
import { JwtAuthenticator } from '../../src/auth/jwt.authenticator.js';
import { codeOf, problem, send } from '../support/raw-http.js';
import { type Rig, startRig } from '../support/rig.js';
import { AUDIENCE, ISSUER, TokenIssuer } from '../support/token-issuer.js';

let issuer: TokenIssuer;
let rig: Rig;
let env: Record<string, string>;

beforeAll(async () => {
  issuer = await TokenIssuer.start();
  env = { AUTH_MODE: 'jwt', JWT_ISSUER: ISSUER, JWT_AUDIENCE: `other,${AUDIENCE}`, JWT_JWKS_URL: issuer.url };
  rig = await startRig({ ...env, JWT_TENANT_CLAIM: 'org' });
}, 30_000);

afterAll(async () => {
  await rig.stop();
  await issuer.stop();
});

const call = (token: string, path = '/agent', method = 'GET', url = rig.url) =>
  send(url, path, { method, headers: { authorization: `Bearer ${token}` } });

async function refused(token: string): Promise<void> {
  const answer = await call(token);
  expect([answer.status, codeOf(answer)]).toEqual([401, 'unauthenticated']);
  expect(answer.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
}

describe('a token', () => {
  it('of the issuer names user and tenant', async () => {
    const body = JSON.stringify({ name: 'mine' });
    const headers = {
      authorization: `Bearer ${await issuer.token({ org: 'acme' })}`,
      'content-type': 'application/json',
    };
    const made = await send(rig.url, '/agent', { method: 'POST', headers, body });
    expect(made.status).toBe(201);
    expect(await rig.sql('SELECT tenant_id, user_id FROM agents')).toEqual([{ tenant_id: 'acme', user_id: 'alice' }]);
    const elsewhere = await call(await issuer.token({ org: 'other' }));
    expect(elsewhere.body).toMatchObject({ total: 0 });
  });

  const now = () => Math.floor(Date.now() / 1000);
  it.each<[string, () => JWTPayload]>([
    ['is expired', () => ({ exp: now() - 60 })],
    ['never expires', () => ({ exp: undefined })],
    ['is not valid yet', () => ({ nbf: now() + 600 })],
    ['is for another audience', () => ({ aud: 'somebody' })],
    ['is for nobody', () => ({ aud: undefined })],
    ['is of another issuer', () => ({ iss: 'https://evil.example' })],
    ['has no user', () => ({ sub: undefined })],
    ['has a user that is no text', () => ({ sub: 7 as unknown as string })],
    ['has a user that is no identity', () => ({ sub: 'a\nb' })],
    ['has no tenant', () => ({ org: undefined })],
    ['has an empty tenant', () => ({ org: '' })],
    ['has scopes that cannot be read', () => ({ scope: { all: true } })],
  ])('that %s is refused', async (name, claims) => {
    const answer = await call(await issuer.token({ org: 'acme', ...claims() }));
    expect([name, answer.status, codeOf(answer)]).toEqual([name, 401, 'unauthenticated']);
  });

  it('that is signed by another key under a known name is refused', async () => {
    await refused(await issuer.token({ org: 'acme' }, { ...issuer.unpublished, kid: issuer.key.kid }));
  });

  it('that is changed, unsigned, or signed with the public key as if it were a secret is refused', async () => {
    const [head = '', payload = '', signature = ''] = (await issuer.token({ org: 'acme' })).split('.');
    const encode = (value: object) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const claims = { ...(JSON.parse(Buffer.from(payload, 'base64url').toString()) as JWTPayload), sub: 'root' };
    await refused(`${head}.${encode(claims)}.${signature}`);
    await refused(`${encode({ alg: 'none' })}.${encode(claims)}.`);
    await refused(`${encode({ alg: 'none', kid: issuer.key.kid })}.${encode(claims)}.${signature}`);
    const confused = new SignJWT(claims).setProtectedHeader({ alg: 'HS256', kid: issuer.key.kid });
    await refused(await confused.sign(new TextEncoder().encode(issuer.key.pem)));
  });

  it.each(['', 'Bearer', 'Bearer  ', 'Basic YWxpY2U6eA==', 'Bearer not.a.token', 'Bearer a b'])(
    'is not found in %j',
    async (authorization) => {
      const answer = await send(rig.url, '/agent', { headers: { authorization, 'x-user-id': 'alice' } });
      expect([answer.status, codeOf(answer)]).toEqual([401, 'unauthenticated']);
      expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
    },
  );
});

describe('scopes', () => {
  it.each([
    ['agents:read sessions:read', 'GET', '/agent', 200],
    ['agents:read', 'POST', '/agent', 'agents:write'],
    ['agents:read', 'GET', '/credential', 'credentials:read'],
    ['agents:write', 'GET', '/agent', 'agents:read'],
    ['sessions:write', 'POST', '/chat', 'runs:write'],
    ['runs:write', 'GET', '/sessions/x/stream', 'sessions:read'],
    ['', 'GET', '/agent', 'agents:read'],
  ])('%j: %s %s -> %s', async (scope, method, path, expected) => {
    const answer = await call(await issuer.token({ org: 'acme', scope }), path, method);
    if (expected === 200) {
      expect(answer.status).toBe(200);
    } else {
      expect([answer.status, problem(answer).error]).toEqual([
        403,
        expect.objectContaining({ code: 'forbidden', details: { required_scope: expected } }),
      ]);
    }
  });

  it('bind who lets calls run, also as a message', async () => {
    const confirm_results = [{ confirmed: true, tool_call: { id: 'c' } }];
    const input = { type: 'USER_CONFIRM_RESULT', reply_id: 'r', confirm_results };
    const body = JSON.stringify({ session_id: 'none', input });
    const answers = ['runs:write', 'runs:write approvals:write'].map(async (scope) => {
      const authorization = `Bearer ${await issuer.token({ org: 'acme', scope })}`;
      const headers = { authorization, 'content-type': 'application/json' };
      return problem(await send(rig.url, '/chat', { method: 'POST', headers, body })).error;
    });
    expect(await Promise.all(answers)).toEqual([
      expect.objectContaining({ code: 'forbidden', details: { required_scope: 'approvals:write' } }),
      expect.objectContaining({ code: 'session_not_found' }),
    ]);
  });

  it('may come as a list, and bind only when they are there', async () => {
    expect((await call(await issuer.token({ org: 'acme', scope: ['agents:read'] }))).status).toBe(200);
    expect((await call(await issuer.token({ org: 'acme', scope: ['models:read'] }))).status).toBe(403);
    expect((await call(await issuer.token({ org: 'acme' }), '/credential')).status).toBe(200);
  });
});

describe('the keys of the issuer', () => {
  it('are fetched once, and again for an unknown name, but not at every stranger’s wish', async () => {
    const options = {
      issuer: ISSUER,
      audience: [AUDIENCE],
      jwks_url: issuer.url,
      user_claim: 'sub',
      scopes_claim: 'scope',
    };
    const authenticator = new JwtAuthenticator(options);
    const user = async (token: string) =>
      (await authenticator.authenticate({ headers: { authorization: `Bearer ${token}` }, body: undefined }))?.user_id;
    const rotated = await issuer.token({ sub: 'bob' }, issuer.unpublished);
    const before = issuer.fetched;
    for (let i = 0; i < 3; i++) expect(await user(await issuer.token({}))).toBe('alice');
    await expect(user(rotated)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(issuer.fetched).toBe(before + 1);

    issuer.publish(issuer.unpublished);
    await expect(user(rotated)).rejects.toMatchObject({ code: 'unauthenticated' });
    expect(issuer.fetched).toBe(before + 1);
    const later = Date.now() + 60_000;
    const clock = jest.spyOn(Date, 'now').mockReturnValue(later);
    try {
      expect(await user(rotated)).toBe('bob');
    } finally {
      clock.mockRestore();
    }
    expect(issuer.fetched).toBe(before + 2);
    expect(await user(await issuer.token({}))).toBe('alice');
  });

  it('when they cannot be fetched, nobody is let in and nobody is called a liar: 503', async () => {
    const gone = await TokenIssuer.start();
    const token = await gone.token({});
    const orphan = await startRig({ ...env, JWT_JWKS_URL: gone.url });
    await gone.stop();
    try {
      const answer = await call(token, '/agent', 'GET', orphan.url);
      expect([answer.status, codeOf(answer)]).toEqual([503, 'unavailable']);
      expect(answer.text).not.toContain(gone.key.kid);
      expect((await send(orphan.url, '/readiness')).status).toBe(200);
    } finally {
      await orphan.stop();
    }
  }, 30_000);
});
