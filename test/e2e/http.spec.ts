import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { eventually } from '../support/eventually.js';
import { codeOf, problem, send } from '../support/raw-http.js';
import { type Rig, startRig } from '../support/rig.js';

const BODY_LIMIT = 4096;
const USER = { 'x-user-id': 'alice' };
const JSON_TYPE = { 'content-type': 'application/json' };

let rig: Rig;
let session: string;

beforeAll(async () => {
  rig = await startRig({ LOG_LEVEL: 'info', AERIE_BODY_LIMIT: String(BODY_LIMIT) });
  session = (await rig.client().demoSession()).session_id;
}, 30_000);

afterAll(() => rig.stop());

describe('routes', () => {
  it('takes a trailing slash', async () => {
    for (const path of ['/agent/', `/sessions/${session}/`, `/sessions/${session}/messages/`, '/health/']) {
      expect([path, (await send(rig.url, path, { headers: USER })).status]).toEqual([path, 200]);
    }
  });

  it.each([
    ['DELETE', '/agent', 'GET, HEAD, POST'],
    ['PUT', '/agent/some', 'DELETE, GET, HEAD, PATCH'],
    ['GET', '/chat', 'POST'],
    ['POST', '/sessions/some/messages?limit=1', 'GET, HEAD'],
    ['GET', '/sessions/some/interrupt/', 'POST'],
    ['DELETE', '/health', 'GET, HEAD'],
  ])('%s %s -> 405', async (method, path, allow) => {
    const answer = await send(rig.url, path, { method, headers: USER });
    expect([answer.status, codeOf(answer), answer.headers.allow]).toEqual([405, 'method_not_allowed', allow]);
  });

  it.each(['/nowhere', '/agent/some/thing', '/sessions/some/streams', '/agents', '//agent'])(
    '%s -> 404',
    async (path) => {
      const answer = await send(rig.url, path, { headers: USER });
      expect([answer.status, codeOf(answer)]).toEqual([404, 'not_found']);
      expect(answer.text).not.toContain('Cannot GET');
    },
  );
});

describe('bodies', () => {
  const post = (body: string, headers: Record<string, string> = JSON_TYPE) =>
    send(rig.url, '/agent', { method: 'POST', headers: { ...USER, ...headers }, body });
  const padded = (bytes: number) => {
    const frame = JSON.stringify({ name: 'a', system_prompt: '' });
    return JSON.stringify({ name: 'a', system_prompt: 'x'.repeat(bytes - frame.length) });
  };

  it('takes what fits AERIE_BODY_LIMIT and refuses one byte more', async () => {
    expect((await post(padded(BODY_LIMIT))).status).toBe(201);
    const answer = await post(padded(BODY_LIMIT + 1));
    expect([answer.status, codeOf(answer)]).toEqual([413, 'payload_too_large']);
  });

  it('refuses a body of unannounced length that grows over the limit', async () => {
    const chunk = padded(BODY_LIMIT + 1);
    const answer = await post(chunk, { ...JSON_TYPE, 'transfer-encoding': 'chunked' });
    expect([answer.status, codeOf(answer)]).toEqual([413, 'payload_too_large']);
  });

  it.each(['application/xml', 'application/x-www-form-urlencoded', 'text/plain', 'multipart/form-data; boundary=x'])(
    'refuses %s',
    async (type) => {
      const answer = await post('name=a', { 'content-type': type });
      expect([answer.status, codeOf(answer)]).toEqual([415, 'unsupported_media_type']);
    },
  );

  it.each(['{"name":', 'name', '{"name": "a",}', ''])('answers invalid_json to %j', async (body) => {
    const answer = await post(body);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'invalid_json']);
  });

  it('takes no prototype from a body', async () => {
    for (const body of ['{"name":"a","__proto__":{"x":1}}', '{"name":"a","constructor":{"prototype":{"x":1}}}']) {
      const answer = await post(body);
      expect([answer.status, codeOf(answer)]).toEqual([400, 'invalid_json']);
    }
  });

  it.each([
    ['NUL', '{"name":"a\\u0000b"}', 'name'],
    [
      'half a surrogate pair',
      '{"name":"a","invite_config":{"invite_description":"\\ud800"}}',
      'invite_config.invite_description',
    ],
  ])('refuses text with %s, which cannot be stored', async (_name, body, path) => {
    const answer = await post(body);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'validation_failed']);
    expect(problem(answer).error.details).toEqual([expect.objectContaining({ path })]);
  });

  it.each(['[]', '"text"', '7', 'null'])('validates a body that is %s', async (body) => {
    const answer = await post(body);
    expect([answer.status, codeOf(answer)]).toEqual([400, 'validation_failed']);
  });
});

describe('malformed addresses', () => {
  it.each(['/agent/%', '/agent/%zz', '/sessions/%E0%A4%A'])('%s -> 400 bad_request', async (path) => {
    const answer = await send(rig.url, path, { headers: USER });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'bad_request']);
    expect(answer.headers['x-request-id']).toBe(problem(answer).request_id);
  });

  it.each(['/sessions/a%00b', '/agent/a%00b', '/sessions/x/messages?agent_id=%00'])('%s -> 400', async (path) => {
    const answer = await send(rig.url, path, { headers: USER });
    expect([answer.status, codeOf(answer)]).toEqual([400, 'bad_request']);
  });

  it('asks for the right Host first', async () => {
    const answer = await send(rig.url, '/agent/%', { headers: { host: 'evil.example' } });
    expect([answer.status, codeOf(answer)]).toEqual([403, 'host_not_allowed']);
  });

  it('an id of excessive length is refused', async () => {
    const answer = await send(rig.url, `/agent/${'a'.repeat(2000)}`, { headers: USER });
    expect([answer.status, codeOf(answer)]).toEqual([414, 'uri_too_long']);
  });
});

describe('x-request-id and traceparent', () => {
  const ask = (path: string, headers: Record<string, string>) =>
    send(rig.url, path, { headers: { ...USER, ...headers } });

  it('echoes a well-formed id, in error bodies too', async () => {
    const id = 'req-1.2:3/a+b=c@d';
    expect((await ask('/agent', { 'x-request-id': id })).headers['x-request-id']).toBe(id);
    for (const path of ['/agent/none', '/nowhere', '/chat']) {
      const answer = await ask(path, { 'x-request-id': id });
      expect([answer.headers['x-request-id'], problem(answer).request_id]).toEqual([id, id]);
    }
    expect((await ask(`/sessions/${session}/stream`, { 'x-request-id': id })).headers['x-request-id']).toBe(id);
  });

  it.each(['two words', 'a"b', '<script>', 'x'.repeat(129), 'ü'])('replaces %j', async (id) => {
    const answer = await ask('/agent/none', { 'x-request-id': Buffer.from(id).toString('latin1') });
    const given = problem(answer).request_id;
    expect(given).toMatch(/^[0-9a-f-]{36}$/);
    expect(answer.headers['x-request-id']).toBe(given);
  });

  it('gives each request an id of its own, which is in the log too', async () => {
    const ids = await Promise.all(
      ['/', '/agent', '/nowhere'].map(async (path) => (await ask(path, {})).headers['x-request-id']),
    );
    expect(new Set(ids).size).toBe(3);
    for (const id of ids) await eventually(() => logLines().find((line) => line.req?.id === id));
  });

  it('puts the trace and the request id into the log line of the request', async () => {
    const trace_id = '4bf92f3577b34da6a3ce929d0e0e4736';
    const request_id = 'traced-request';
    await ask('/agent', { traceparent: `00-${trace_id}-00f067aa0ba902b7-01`, 'x-request-id': request_id });
    const line = await eventually(() => logLines().find((it) => it.req?.id === request_id));
    expect(line).toMatchObject({ trace_id, parent_id: '00f067aa0ba902b7', res: { statusCode: 200 } });
  });

  it.each(['00-00000000000000000000000000000000-00f067aa0ba902b7-01', 'nonsense'])(
    'ignores the traceparent %s',
    async (it) => {
      const request_id = `untraced-${it.slice(0, 4)}`;
      await ask('/agent', { traceparent: it, 'x-request-id': request_id });
      const line = await eventually(() => logLines().find((line) => line.req?.id === request_id));
      expect(line).not.toHaveProperty('trace_id');
    },
  );
});

interface LogLine {
  trace_id?: string;
  req?: { id: string };
  res?: { statusCode: number };
}

function logLines(): LogLine[] {
  return rig.service
    .output()
    .split('\n')
    .filter((line) => line.startsWith('{') && line.endsWith('}'))
    .map((line) => JSON.parse(line) as LogLine);
}

it('tells nothing of an error it does not know', async () => {
  const broken = await startRig();
  try {
    const client = broken.client();
    await broken.sql('ALTER TABLE agents RENAME TO agents_hidden');
    const answer = await client.request('GET', '/agent', undefined, { 'x-request-id': 'broken-request' });
    expect([answer.status, codeOf(answer)]).toEqual([500, 'internal_error']);
    expect(answer.body).toEqual({
      error: { code: 'internal_error', message: 'The service failed to answer this request.' },
      request_id: 'broken-request',
    });
    const line = await eventually(() =>
      broken.service
        .output()
        .split('\n')
        .find((it) => it.includes('broken-request')),
    );
    expect(line).toContain('agents');
  } finally {
    await broken.stop();
  }
}, 30_000);
