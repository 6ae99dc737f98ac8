import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApiClient } from '../support/client.js';
import { fetchOpenApi, type OpenApi, type Route, routesOf } from '../support/openapi.js';
import { codeOf } from '../support/raw-http.js';
import { type Ids, RequestBuilder, type Slot } from '../support/request-builder.js';
import { type Rig, startRig } from '../support/rig.js';

const NAME = 'a name both use';
const PUBLIC = ['GET /', 'GET /health', 'GET /liveness', 'GET /readiness'];

const TABLES = [
  'credentials',
  'agents',
  'sessions',
  'session_leases',
  'runs',
  'session_inputs',
  'messages',
  'tool_calls',
  'approvals',
];

let rig: Rig;
let document: OpenApi;
let routes: Route[];
let builder: RequestBuilder;
let owner: ApiClient;
let owned: Ids;

beforeAll(async () => {
  rig = await startRig();
  document = await fetchOpenApi(rig.url);
  routes = routesOf(document);
  builder = new RequestBuilder(document);
  owner = rig.client('alice');
  owned = await populate(owner, NAME);
}, 30_000);

afterAll(() => rig.stop());

/** One of everything, and the ids. */
async function populate(client: ApiClient, name?: string): Promise<Ids> {
  const made = await client.demoSession(name);
  const input = { content: '/tool calculator {"expression":"1+1"}' };
  const { run_id } = await client.ok<{ run_id: string }>('POST', '/chat?wait=true', {
    session_id: made.session_id,
    input,
  });
  const ids = { agent: made.agent_id, credential: made.credential_id, session: made.session_id, run: run_id };
  return { ...ids, approval: await client.approval(made.agent_id) };
}

/** Every row of the owner's, as it stands. */
async function rowsOfOwner(): Promise<unknown[]> {
  const ids = Object.values(owned).join('|');
  const rows = await Promise.all(
    TABLES.map((table) =>
      rig.sql(`SELECT to_jsonb(t) AS row FROM ${table} t WHERE to_jsonb(t)::text ~ '${ids}' ORDER BY 1`),
    ),
  );
  return rows.flat();
}

/** What a foreign id must be answered with: the agent that is named with a session only says which session is meant. */
function expectedCode(route: Route, slot: Slot): string {
  const hint = slot.kind === 'agent' && builder.slots(route).some((it) => it.kind === 'session');
  return `${hint ? 'session' : slot.kind}_not_found`;
}

describe('without identity', () => {
  it('only the welcome and the probes are open', async () => {
    expect(
      routes
        .filter((route) => route.isPublic)
        .map((route) => route.name)
        .sort(),
    ).toEqual(PUBLIC);
    for (const path of ['/', '/health', '/readiness', '/liveness', '/docs', '/openapi.json']) {
      expect([path, (await fetch(rig.url + path)).status]).toEqual([path, 200]);
    }
  });

  it('every other operation answers 401, whatever it is asked for', async () => {
    const closed = routes.filter((route) => !route.isPublic);
    expect(closed.length).toBeGreaterThan(15);
    for (const route of closed) {
      const { method, path, body } = builder.build(route, owned);
      const response = await fetch(rig.url + path, {
        method,
        headers: body === undefined ? {} : { 'content-type': 'application/json' },
        body: JSON.stringify(body),
      });
      const text = await response.text();
      const answer = { text, body: JSON.parse(text) as unknown };
      expect([route.name, response.status, codeOf(answer)]).toEqual([route.name, 401, 'unauthenticated']);
      expect(response.headers.get('www-authenticate')).toBe('Bearer');
    }
  });
});

describe.each([
  ['another user of the tenant', 'bob', {}],
  ['a user of the same name in another tenant', 'alice', { 'x-tenant-id': 'elsewhere' }],
])('%s', (_name, user, headers) => {
  let stranger: ApiClient;
  let own: Ids;
  let before: unknown[];

  beforeAll(async () => {
    stranger = rig.client(user, headers);
    before = await rowsOfOwner();
  });

  it('has empty lists', async () => {
    const lists = routes.filter(
      (route) => !route.path.includes('{') && route.parameters?.some((parameter) => parameter.name === 'cursor'),
    );
    expect(lists.map((route) => route.path).sort()).toEqual([
      '/agent',
      '/approvals',
      '/credential',
      '/sessions',
      '/usage',
    ]);
    for (const { path } of lists) {
      const list = await stranger.ok(`GET`, path);
      const total = path === '/usage' ? expect.objectContaining({ calls: 0 }) : 0;
      expect([path, list]).toEqual([path, expect.objectContaining({ total, next_cursor: null })]);
      expect(Object.values(list).find(Array.isArray)).toEqual([]);
    }
  });

  it('gets 404 for every id of the owner in every place of every operation', async () => {
    own = await populate(stranger);
    let asked = 0;
    for (const route of routes) {
      for (const slot of builder.slots(route)) {
        const foreign = slot.kind === 'session' ? [owned.session, NAME] : [owned[slot.kind]];
        for (const id of foreign) {
          const { method, path, body } = builder.build(route, own, { at: slot.at, id });
          const answer = await stranger.request(method, path, body);
          const seen = { route: route.name, at: slot.at, status: answer.status, text: answer.text };
          expect(seen).toMatchObject({ status: 404 });
          expect({ ...seen, code: codeOf(answer) }).toMatchObject({ code: expectedCode(route, slot) });
          asked += 1;
        }
      }
    }
    expect(asked).toBeGreaterThan(25);
  });

  it('may use the same name for a session of its own', async () => {
    const { session_id } = await stranger.ok('POST', '/sessions', { agent_id: own.agent, session_id: NAME });
    const named = await stranger.ok<{ session: { id: string } }>('GET', `/sessions/${encodeURIComponent(NAME)}`);
    expect(named.session.id).toBe(session_id);
    expect(session_id).not.toBe(owned.session);
  });

  it('has only its own in its lists, from any cursor', async () => {
    for (const [path, plural, id] of [
      ['/agent', 'agents', owned.agent],
      ['/approvals', 'approvals', owned.approval],
      ['/credential', 'credentials', owned.credential],
      ['/sessions', 'sessions', owned.session],
    ] as const) {
      const whole = await stranger.request('GET', path);
      expect(whole.body[plural]).not.toEqual([]);
      expect(whole.text).not.toContain(id);
      const behind = await stranger.ok('GET', `${path}?cursor=${id}`);
      expect(behind[plural]).toEqual([]);
    }
  });

  it('has changed nothing of the owner', async () => {
    expect(await rowsOfOwner()).toEqual(before);
    expect(before.length).toBeGreaterThanOrEqual(7);
    const named = await owner.ok<{ session: { id: string } }>('GET', `/sessions/${encodeURIComponent(NAME)}`);
    expect(named.session.id).toBe(owned.session);
  });
});

it('the owner reaches what the others could not, with the same requests', async () => {
  for (const route of routes.filter((it) => it.method !== 'DELETE')) {
    const { method, path, body } = builder.build(route, owned);
    const answer = route.path.endsWith('/stream')
      ? await openAndLeave(path)
      : (await owner.request(method, path, body)).status;
    expect([route.name, answer < 300]).toEqual([route.name, true]);
  }
});

async function openAndLeave(path: string): Promise<number> {
  const controller = new AbortController();
  const response = await fetch(rig.url + path, { headers: { 'x-user-id': 'alice' }, signal: controller.signal });
  controller.abort();
  return response.status;
}
