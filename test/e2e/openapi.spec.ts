import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ApiClient } from '../support/client.js';
import { DocumentSchemas, fetchOpenApi, type OpenApi, type Route, routesOf } from '../support/openapi.js';
import { type Ids, RequestBuilder } from '../support/request-builder.js';
import { type Rig, startRig } from '../support/rig.js';

const COMMITTED = join(import.meta.dirname, '..', '..', 'openapi.json');
const NOWHERE = '00000000-0000-7000-8000-000000000000';

let rig: Rig;
let document: OpenApi;
let routes: Route[];

beforeAll(async () => {
  rig = await startRig();
  document = await fetchOpenApi(rig.url);
  routes = routesOf(document);
}, 30_000);

afterAll(() => rig.stop());

describe('the document', () => {
  it('is the committed openapi.json (after a change: npm run openapi)', async () => {
    expect(document).toEqual(JSON.parse(await readFile(COMMITTED, 'utf8')));
  });

  it('differs by nothing but its names when they are configured', async () => {
    const info = { title: 'Ours', description: 'Our agents', version: '9.9' };
    const named = await startRig({
      APP_NAME: info.title,
      APP_DESCRIPTION: info.description,
      APP_VERSION: info.version,
    });
    try {
      const theirs = await fetchOpenApi(named.url);
      expect(theirs.info).toMatchObject(info);
      expect({ ...theirs, info: document.info }).toEqual(document);
      const welcome = await named.client().ok('GET', '/');
      expect(welcome).toMatchObject({ name: info.title, description: info.description, version: info.version });
    } finally {
      await named.stop();
    }
  }, 30_000);

  it('is OpenAPI 3.1 with both ways to identify oneself', () => {
    expect(document.openapi).toMatch(/^3\.1\./);
    expect(document.components.securitySchemes).toEqual({
      user: expect.objectContaining({ type: 'apiKey', in: 'header', name: 'X-User-ID' }),
      jwt: expect.objectContaining({ type: 'http', scheme: 'bearer', bearerFormat: 'JWT' }),
    });
  });

  it('has every reference and schema in order', () => {
    const schemas = new DocumentSchemas(document);
    const names = Object.keys(document.components.schemas);
    expect(names.length).toBeGreaterThan(30);
    for (const name of names) {
      expect(document.components.schemas[name]).not.toHaveProperty('$ref');
      schemas.compile({ $ref: `#/components/schemas/${name}` });
    }
    for (const route of routes) {
      for (const parameter of route.parameters ?? []) schemas.compile(parameter.schema);
      for (const { schema } of Object.values(route.requestBody?.content ?? {})) schemas.compile(schema);
      for (const { content } of Object.values(route.responses)) {
        for (const { schema } of Object.values(content ?? {})) schemas.compile(schema);
      }
    }
  });

  it('names every operation, once', () => {
    const ids = routes.map((route) => route.operationId);
    expect(new Set(ids).size).toBe(routes.length);
    for (const route of routes) {
      expect([route.name, route.operationId]).toEqual([route.name, expect.stringMatching(/^[a-z]+_[a-zA-Z]+$/)]);
      expect([route.name, route.summary?.length]).toEqual([route.name, expect.any(Number)]);
      expect([route.name, route.tags]).toEqual([route.name, [expect.stringMatching(/^[a-z]+$/)]]);
    }
  });

  it('says of every operation how it fails, in one shape', () => {
    for (const route of routes) {
      const errors = Object.entries(route.responses).filter(([status]) => Number(status) >= 400);
      const wanted = route.isPublic ? ['403', '500'] : ['400', '401', '403', '500'];
      if (route.parameters?.some((it) => it.in === 'path')) wanted.push('404');
      if (route.requestBody) wanted.push('413', '415');
      expect([route.name, errors.map(([status]) => status)]).toEqual([route.name, expect.arrayContaining(wanted)]);
      for (const [status, { content }] of errors) {
        if (route.isPublic && status === '503') continue;
        expect([route.name, status, content?.['application/json']?.schema]).toEqual([
          route.name,
          status,
          { $ref: '#/components/schemas/Problem' },
        ]);
      }
    }
  });
});

describe('the service keeps what the document says', () => {
  let schemas: DocumentSchemas;
  let builder: RequestBuilder;
  let client: ApiClient;
  let ids: Ids;
  const seen = new Set<string>();

  beforeAll(async () => {
    schemas = new DocumentSchemas(document);
    builder = new RequestBuilder(document);
    client = rig.client();
    const made = await client.demoSession('walk');
    const input = { content: '/think hm\n/tool calculator {"expression":"1+1"}\n/then\n/say done' };
    const { run_id } = await client.ok<{ run_id: string }>('POST', '/chat?wait=true', {
      session_id: made.session_id,
      input,
    });
    const approval = await client.approval(made.agent_id);
    ids = { agent: made.agent_id, credential: made.credential_id, session: made.session_id, run: run_id, approval };
  });

  async function ask(route: Route, from: ApiClient, own: Ids, headers: Record<string, string> = {}) {
    const { method, path, body } = builder.build(route, own);
    const controller = new AbortController();
    const response = await fetch(rig.url + path, {
      method,
      headers: {
        'x-user-id': from.user,
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      body: body === undefined ? undefined : JSON.stringify(body),
      signal: controller.signal,
    });
    const type = response.headers.get('content-type')?.split(';')[0] ?? '';
    if (type === 'text/event-stream') {
      controller.abort();
      return { status: response.status, text: '', body: undefined, type };
    }
    const text = await response.text();
    const parsed = () => (text === '' ? undefined : (JSON.parse(text) as unknown));
    return { status: response.status, text, body: type === 'application/x-ndjson' ? text : parsed(), type };
  }

  it('when each operation succeeds', async () => {
    // What is deleted comes last, an agent after its session, a credential after both.
    const last = (route: Route) =>
      route.method === 'DELETE' ? ['/sessions/{id}', '/agent/{id}', '/credential/{id}'].indexOf(route.path) + 2 : 0;
    const inOrder = [...routes].sort((a, b) => last(a) - last(b));
    for (const route of inOrder) {
      const answer = await ask(route, client, ids);
      expect([route.name, answer.status, schemas.faults(route, answer)]).toEqual([route.name, success(route), []]);
      seen.add(route.name);
    }
    expect(seen.size).toBe(routes.length);
  });

  it('when nobody calls, when nothing is there, and when nothing fits', async () => {
    const nothing = { agent: NOWHERE, credential: NOWHERE, session: NOWHERE, run: NOWHERE, approval: NOWHERE };
    for (const route of routes.filter((it) => !it.isPublic)) {
      const anonymous = await ask(route, client, nothing, { 'x-user-id': '' });
      expect([route.name, anonymous.status, schemas.faults(route, anonymous)]).toEqual([route.name, 401, []]);
      if (builder.slots(route).length > 0) {
        const absent = await ask(route, client, nothing);
        expect([route.name, absent.status, schemas.faults(route, absent)]).toEqual([route.name, 404, []]);
      }
      const foreign = await ask(route, client, nothing, { origin: 'null' });
      expect([route.name, foreign.status, schemas.faults(route, foreign)]).toEqual([route.name, 403, []]);
    }
  });

  it('when a body is no JSON, or none at all', async () => {
    const withBody = routes.filter((route) => route.requestBody);
    expect(withBody.length).toBeGreaterThan(5);
    for (const route of withBody) {
      for (const [body, type, status] of [
        ['{', 'application/json', 400],
        ['7', 'application/json', 400],
        ['a=b', 'application/x-www-form-urlencoded', 415],
      ] as const) {
        const { method, path } = builder.build(route, ids);
        const answer = await client.request(method, path, body, { 'content-type': type });
        const faults = schemas.faults(route, { ...answer, type: 'application/json' });
        expect([route.name, answer.status, faults]).toEqual([route.name, status, []]);
      }
    }
  });
});

/** The success an operation declares; a second one is what it answers when time is up. */
function success(route: Route): number {
  const statuses = Object.keys(route.responses).filter((status) => Number(status) < 300);
  expect([route.name, statuses.slice(1)]).toEqual([route.name, route.name === 'POST /chat' ? ['202'] : []]);
  return Number(statuses[0]);
}
