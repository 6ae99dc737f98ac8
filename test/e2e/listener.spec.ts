import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { connect } from 'node:net';
import { text as readText } from 'node:stream/consumers';
import { codeOf, problem, send } from '../support/raw-http.js';
import { type Rig, startRig } from '../support/rig.js';

const USER = { 'x-user-id': 'alice' };
const JSON_TYPE = { 'content-type': 'application/json' };
const FRIEND = 'https://app.example.com';
const PROBES = ['/health', '/readiness', '/liveness'];

let rig: Rig;
let session: string;
let authority: string;

beforeAll(async () => {
  rig = await startRig();
  authority = new URL(rig.url).host;
  session = (await rig.client().demoSession()).session_id;
}, 30_000);

afterAll(() => rig.stop());

/** Sends bytes as they are and reads until the other side closes. */
async function sendBytes(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  await once(socket, 'connect');
  socket.write(bytes);
  return readText(socket);
}

describe('Host', () => {
  const paths = () => ['/', '/agent', `/sessions/${session}/stream`, '/docs', '/openapi.json', '/nowhere'];

  it.each(['evil.example', 'evil.example:8000', 'localhost.evil.example', '127.0.0.1.nip.io', '169.254.169.254'])(
    'refuses %s everywhere but on the probes',
    async (host) => {
      for (const path of paths()) {
        const answer = await send(rig.url, path, { headers: { host, ...USER } });
        expect([path, answer.status, codeOf(answer)]).toEqual([path, 403, 'host_not_allowed']);
        expect(answer.headers['x-request-id']).toBe(problem(answer).request_id);
      }
      for (const path of PROBES) {
        expect([path, (await send(rig.url, path, { headers: { host } })).status]).toEqual([path, 200]);
      }
    },
  );

  it.each(['localhost', '127.0.0.1', '[::1]', 'LOCALHOST'])(
    'answers to %s, with any port and without',
    async (name) => {
      for (const host of [name, `${name}:${new URL(rig.url).port}`, `${name}:80`]) {
        const answer = await send(rig.url, '/agent', { headers: { host, ...USER } });
        expect([host, answer.status]).toEqual([host, 200]);
      }
    },
  );

  it('refuses before it reads a body or asks who calls', async () => {
    const body = 'not json';
    const answer = await send(rig.url, '/chat', {
      method: 'POST',
      headers: { host: 'evil.example', ...JSON_TYPE },
      body,
    });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'host_not_allowed']);
  });

  it('does not answer an HTTP/1.0 request without Host, except on a probe', async () => {
    const refused = await sendBytes(rig.url, 'GET /agent HTTP/1.0\r\n\r\n');
    expect(refused).toMatch(/^HTTP\/1\.1 403 /);
    expect(refused).toContain('"host_not_allowed"');
    expect(await sendBytes(rig.url, 'GET /liveness HTTP/1.0\r\n\r\n')).toMatch(/^HTTP\/1\.1 200 /);
  });
});

describe('Origin', () => {
  it.each(['https://evil.example', 'null', 'http://localhost:1', 'file://', 'not an origin'])(
    'refuses %s',
    async (origin) => {
      for (const path of ['/agent', `/sessions/${session}/stream`, '/docs', '/openapi.json', '/nowhere', '/health']) {
        const answer = await send(rig.url, path, { headers: { origin, ...USER } });
        expect([path, answer.status, codeOf(answer)]).toEqual([path, 403, 'origin_not_allowed']);
        expect(answer.headers['access-control-allow-origin']).toBeUndefined();
      }
      const preflight = { origin, 'access-control-request-method': 'POST' };
      expect((await send(rig.url, '/chat', { method: 'OPTIONS', headers: preflight })).status).toBe(403);
    },
  );

  it('lets its own pages in', async () => {
    for (const path of ['/agent', `/sessions/${session}/stream`, '/docs']) {
      const answer = await send(rig.url, path, { headers: { origin: `http://${authority}`, ...USER } });
      expect([path, answer.status]).toEqual([path, 200]);
    }
  });
});

describe('CORS_ORIGINS and ALLOWED_HOSTS', () => {
  let open: Rig;
  let host: string;
  let stream: string;

  beforeAll(async () => {
    open = await startRig({ CORS_ORIGINS: FRIEND, ALLOWED_HOSTS: '*.example.com, 127.0.0.1' });
    host = 'api.example.com';
    stream = `/sessions/${(await open.client().demoSession()).session_id}/stream`;
  }, 30_000);
  afterAll(() => open.stop());

  it('names the origin on JSON and on the stream', async () => {
    for (const path of ['/agent', stream]) {
      const { status, headers } = await send(open.url, path, { headers: { host, origin: FRIEND, ...USER } });
      expect([path, status, headers['access-control-allow-origin']]).toEqual([path, 200, FRIEND]);
      // Nothing here is authorised by cookies.
      expect(headers['access-control-allow-credentials']).toBeUndefined();
      expect(headers['access-control-expose-headers']).toContain('x-request-id');
      expect(headers.vary).toMatch(/origin/i);
    }
  });

  it('names the origin on errors too, so that a page can read them', async () => {
    const { status, headers } = await send(open.url, '/agent/none', { headers: { host, origin: FRIEND, ...USER } });
    expect([status, headers['access-control-allow-origin']]).toEqual([404, FRIEND]);
  });

  it('answers the preflight of each method', async () => {
    for (const method of ['POST', 'PATCH', 'DELETE']) {
      const headers = {
        host,
        origin: FRIEND,
        'access-control-request-method': method,
        'access-control-request-headers': 'x-user-id,content-type',
      };
      const answer = await send(open.url, '/agent/some', { method: 'OPTIONS', headers });
      expect(answer.status).toBe(204);
      expect(answer.headers['access-control-allow-origin']).toBe(FRIEND);
      expect(answer.headers['access-control-allow-methods']).toContain(method);
      expect(answer.headers['access-control-allow-headers']).toContain('x-user-id');
    }
  });

  it('still refuses other origins', async () => {
    for (const origin of ['https://app.example.com.evil.example', 'http://app.example.com', 'null']) {
      const answer = await send(open.url, stream, { headers: { host, origin, ...USER } });
      expect([answer.status, codeOf(answer)]).toEqual([403, 'origin_not_allowed']);
      expect(answer.headers['access-control-allow-origin']).toBeUndefined();
    }
  });

  it.each([
    ['api.example.com', 200],
    ['a.b.example.com:443', 200],
    ['API.EXAMPLE.COM', 200],
    ['127.0.0.1', 200],
    ['example.com', 403],
    ['badexample.com', 403],
    ['api.example.com.evil', 403],
    ['localhost', 403],
  ])('Host %s -> %i', async (name, status) => {
    expect((await send(open.url, '/agent', { headers: { host: name, ...USER } })).status).toBe(status);
  });
});
