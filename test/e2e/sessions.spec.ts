import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApiClient } from '../support/client.js';
import { create, demoModel, faultsOf, ISO, type ModelConfig, NOWHERE, refusal } from '../support/crud.js';
import { eventually } from '../support/eventually.js';
import { type Rig, startRig } from '../support/rig.js';

interface SessionView {
  session: { id: string; external_id: string | null; config: { name: string; chat_model_config: ModelConfig | null } };
  status: string;
}

let rig: Rig;
let client: ApiClient;
let model: ModelConfig;

beforeAll(async () => {
  rig = await startRig();
  client = rig.client();
  model = await demoModel(client);
}, 30_000);

afterAll(() => rig.stop());

describe('a deletion', () => {
  const rows = async (id: string) =>
    Promise.all(
      ['agents', 'sessions', 'session_leases', 'runs', 'messages'].map(async (table) => {
        const found = await rig.sql(`SELECT count(*)::int AS n FROM ${table} t WHERE to_jsonb(t)::text LIKE '%${id}%'`);
        return Number(found[0]?.['n']);
      }),
    );

  it('of an agent takes its sessions along: their streams end, their rows go', async () => {
    const { agent_id, session_id } = await client.demoSession();
    const stream = await client.stream(session_id);
    await client.say(session_id, 'hello');
    await stream.replies();
    expect((await rows(session_id)).every((n, i) => (i === 0 ? n === 0 : n > 0))).toBe(true);
    await client.ok('DELETE', `/agent/${agent_id}`);
    const end = await stream.until(({ event }) => event.type === 'CUSTOM' && event.name === 'session_deleted');
    expect(end.seq).toBeGreaterThan(0);
    await stream.end();
    for (const path of ['', '/messages', '/stream']) {
      const answer = await client.request('GET', `/sessions/${session_id}${path}`);
      expect(refusal(answer)).toEqual([404, 'session_not_found']);
    }
    const chat = { session_id, input: { content: 'x' } };
    expect(refusal(await client.request('POST', '/chat', chat))).toEqual([404, 'session_not_found']);
    for (const id of [session_id, agent_id]) {
      expect(await eventually(async () => ((await rows(id)).some((n) => n > 0) ? undefined : 'gone'))).toBe('gone');
    }
  });

  it('of a session stops what it does, at once', async () => {
    const { session_id } = await client.demoSession();
    const stream = await client.stream(session_id);
    await client.say(session_id, '/say before\n/sleep 60000');
    await stream.until(({ event }) => event.type === 'TEXT_BLOCK_DELTA');
    await client.ok('DELETE', `/sessions/${session_id}`);
    await stream.end();
    expect(stream.seen.at(-1)?.event).toMatchObject({ type: 'CUSTOM', name: 'session_deleted' });
    expect(refusal(await client.request('DELETE', `/sessions/${session_id}`))).toEqual([404, 'session_not_found']);
    expect(await eventually(async () => ((await rows(session_id)).some((n) => n > 0) ? undefined : 'gone'))).toBe(
      'gone',
    );
  });

  it('of many sessions and agents in one moment leaves no row of any of them', async () => {
    const made = await Promise.all(Array.from({ length: 8 }, () => client.demoSession()));
    await Promise.all(
      made.map(async ({ agent_id, session_id }, i) => {
        await client.ok('DELETE', i % 2 === 0 ? `/sessions/${session_id}` : `/agent/${agent_id}`);
      }),
    );
    for (const { session_id } of made) {
      expect(await eventually(async () => ((await rows(session_id)).some((n) => n > 0) ? undefined : 'gone'))).toBe(
        'gone',
      );
    }
  });

  it('of a credential is felt by the next run, as an error with a code', async () => {
    const { session_id, credential_id } = await client.demoSession();
    await client.ok('DELETE', `/credential/${credential_id}?force=true`);
    const chat = { session_id, input: { content: 'x' } };
    expect(refusal(await client.request('POST', '/chat', chat))).toEqual([404, 'credential_not_found']);
  });
});

describe('sessions', () => {
  let agent: string;
  beforeAll(async () => {
    agent = await create(client, '/agent', { name: 'a', chat_model_config: model });
  });

  it('are opened under a name of their client, which is as good as the id', async () => {
    const name = 'Müller & Söhne 100%';
    const made = await client.request('POST', '/sessions', { agent_id: agent, session_id: name, name: 'shown' });
    expect([made.status, made.body]).toEqual([
      201,
      { session_id: expect.any(String), external_id: name, warnings: [] },
    ]);
    const id = String(made.body['session_id']);
    const byName = await client.ok<SessionView>('GET', `/sessions/${encodeURIComponent(name)}`);
    expect(byName).toEqual(await client.ok('GET', `/sessions/${id}`));
    expect(byName).toMatchObject({ status: 'idle', session: { id, external_id: name, config: { name: 'shown' } } });
    const again = await client.request('POST', '/sessions', { agent_id: agent, session_id: name });
    expect(refusal(again)).toEqual([409, 'session_exists']);
    await client.ok('DELETE', `/sessions/${encodeURIComponent(name)}`);
    expect(await create(client, '/sessions', { agent_id: agent, session_id: name })).not.toBe(id);
  });

  it('are shown with the time as their name when they have none', async () => {
    const id = await create(client, '/sessions', { agent_id: agent });
    const { session } = await client.ok<SessionView>('GET', `/sessions/${id}`);
    expect(session.config.name).toMatch(ISO);
    expect(session.external_id).toBeNull();
  });

  it('keep what a PATCH does not name; null clears a model', async () => {
    const id = await create(client, '/sessions', { agent_id: agent, name: 'n', chat_model_config: model });
    const config = { ...model, parameters: {} };
    const renamed = await client.ok('PATCH', `/sessions/${id}`, { name: 'm' });
    expect(renamed).toMatchObject({ id, config: { name: 'm', chat_model_config: config } });
    const cleared = await client.ok('PATCH', `/sessions/${id}`, { chat_model_config: null });
    expect(cleared).toMatchObject({ config: { name: 'm', chat_model_config: null } });
    expect(faultsOf(await client.request('PATCH', `/sessions/${id}`, { name: '' }))).toEqual(['name']);
    const wrong = { chat_model_config: { ...model, model: 'demo-2' } };
    expect(faultsOf(await client.request('PATCH', `/sessions/${id}`, wrong))).toEqual(['chat_model_config.model']);
  });

  it('have permissions, switched-off tools and metadata, from the start or by a PATCH', async () => {
    const rule = { tool_name: 'Bash', rule_content: 'ls:*', behavior: 'allow' };
    const plain = await create(client, '/sessions', { agent_id: agent });
    expect(await client.ok('GET', `/sessions/${plain}`)).toMatchObject({
      session: {
        config: { permission_mode: 'default', permission_rules: [], disabled_tools: [], metadata: {} },
        state: { permission_context: { mode: 'default', allow_rules: {} }, tasks_context: { tasks: [] } },
        forked_from: null,
      },
    });
    const given = { permission_mode: 'explore', permission_rules: [rule], disabled_tools: ['calculator'] };
    const id = await create(client, '/sessions', { agent_id: agent, ...given, metadata: { env: 'prod', team: 'a' } });
    const stored = { ...rule, source: 'user' };
    expect(await client.ok('GET', `/sessions/${id}`)).toMatchObject({
      session: {
        config: { ...given, permission_rules: [stored], metadata: { env: 'prod', team: 'a' } },
        state: { permission_context: { mode: 'explore', allow_rules: { Bash: [stored] }, deny_rules: {} } },
      },
    });
    const change = {
      permission_mode: 'bypass',
      permission_rules: [{ ...rule, rule_content: null, behavior: 'deny', source: 'operator' }],
      metadata: { env: null, stage: '2' },
    };
    const denied = { ...stored, rule_content: null, behavior: 'deny' };
    expect(await client.ok('PATCH', `/sessions/${id}`, change)).toMatchObject({
      config: { ...given, permission_mode: 'bypass', permission_rules: [denied], metadata: { team: 'a', stage: '2' } },
      state: { permission_context: { mode: 'bypass', allow_rules: {}, deny_rules: { Bash: [denied] } } },
    });
    const many = Object.fromEntries(Array.from({ length: 31 }, (_, i) => [`k${i}`, '']));
    expect(faultsOf(await client.request('PATCH', `/sessions/${id}`, { metadata: many }))).toEqual(['metadata']);
    expect(await client.ok('GET', `/sessions/${id}`)).toMatchObject({
      session: { config: { metadata: { team: 'a', stage: '2' } } },
    });
  });

  it('show the plan of their agent', async () => {
    const id = await create(client, '/sessions', { agent_id: agent });
    expect(await client.ok('GET', `/sessions/${id}/tasks`)).toEqual({ tasks: [] });
    const task = {
      id: '1',
      subject: 'Look',
      description: '',
      metadata: {},
      created_at: '2026-01-01T00:00:00.000Z',
      state: 'pending',
      owner: null,
      blocks: [],
      blocked_by: [],
    };
    const tasks_context = { tasks: [task] };
    await rig.sql(`UPDATE sessions SET state = '${JSON.stringify({ tasks_context })}' WHERE id = '${id}'`);
    expect(await client.ok('GET', `/sessions/${id}/tasks`)).toEqual({ tasks: [task] });
    expect(await client.ok('GET', `/sessions/${id}`)).toMatchObject({ session: { state: { tasks_context } } });
    const list = await client.ok<{ sessions: { session: { state: object } }[] }>('GET', '/sessions?limit=1');
    expect(list.sessions[0]?.session.state).toMatchObject({ tasks_context });
  });

  it('are found by name and metadata', async () => {
    const reader = rig.client('searcher');
    const own = await create(reader, '/agent', { name: 'a' });
    const names = async (query: string) => {
      const list = await reader.ok<{ sessions: SessionView[]; total: number }>('GET', `/sessions?${query}`);
      expect(list.total).toBe(list.sessions.length);
      return list.sessions.map(({ session }) => session.config.name);
    };
    await create(reader, '/sessions', { agent_id: own, name: '100% Sure', metadata: { env: 'prod', url: 'a:b' } });
    await create(reader, '/sessions', { agent_id: own, name: 'surely not', metadata: { env: 'prod' } });
    await create(reader, '/sessions', { agent_id: own, name: 'other' });
    expect(await names('name=SURE')).toEqual(['surely not', '100% Sure']);
    expect(await names('name=%25')).toEqual(['100% Sure']);
    expect(await names('metadata=env:prod')).toEqual(['surely not', '100% Sure']);
    expect(await names('metadata=env:prod&metadata=url:a:b')).toEqual(['100% Sure']);
    expect(await names(`metadata=env:prod&name=not&agent_id=${own}`)).toEqual(['surely not']);
    for (const query of ['metadata=env', 'metadata=a:1&metadata=a:2', 'name=']) {
      expect([query, faultsOf(await reader.request('GET', `/sessions?${query}`))]).toEqual([
        query,
        [query.split('=')[0]],
      ]);
    }
  });

  it('answer 404 when another agent is named with them, and when there is none', async () => {
    const id = await create(client, '/sessions', { agent_id: agent });
    const other = await create(client, '/agent', { name: 'other' });
    for (const [method, path] of [
      ['GET', `/sessions/${id}`],
      ['PATCH', `/sessions/${id}`],
      ['GET', `/sessions/${id}/messages`],
      ['GET', `/sessions/${id}/stream`],
      ['GET', `/sessions/${id}/tasks`],
      ['GET', `/sessions/${id}/export`],
      ['POST', `/sessions/${id}/fork`],
      ['POST', `/sessions/${id}/interrupt`],
      ['DELETE', `/sessions/${id}`],
    ] as const) {
      const body = method === 'PATCH' ? {} : undefined;
      const answer = await client.request(method, `${path}?agent_id=${other}`, body);
      expect([method, path, ...refusal(answer)]).toEqual([method, path, 404, 'session_not_found']);
    }
    const chat = { session_id: id, agent_id: other, input: { content: 'x' } };
    expect(refusal(await client.request('POST', '/chat', chat))).toEqual([404, 'session_not_found']);
    expect((await client.request('GET', `/sessions/${id}?agent_id=${agent}`)).status).toBe(200);
    expect(refusal(await client.request('POST', '/sessions', { agent_id: NOWHERE }))).toEqual([404, 'agent_not_found']);
  });

  it.each<[string, object, string[]]>([
    ['no agent', {}, ['agent_id']],
    ['an agent id that is none', { agent_id: 'mine' }, ['agent_id']],
    ['a name that is a path', { agent_id: NOWHERE, session_id: 'a/b' }, ['session_id']],
    ['an empty name', { agent_id: NOWHERE, session_id: '' }, ['session_id']],
  ])('are refused with %s', async (_name, body, paths) => {
    expect(faultsOf(await client.request('POST', '/sessions', body))).toEqual(paths);
  });

  it('are listed by agent', async () => {
    const own = await create(client, '/agent', { name: 'listed' });
    const ids = [
      await create(client, '/sessions', { agent_id: own }),
      await create(client, '/sessions', { agent_id: own }),
    ];
    const list = await client.ok<{ sessions: SessionView[]; total: number }>('GET', `/sessions?agent_id=${own}`);
    expect(list.total).toBe(2);
    expect(list.sessions.map(({ session }) => session.id)).toEqual(ids.reverse());
    expect(refusal(await client.request('GET', `/sessions?agent_id=${NOWHERE}`))).toEqual([404, 'agent_not_found']);
  });
});

describe('lists', () => {
  it.each([
    ['/agent', 'agents'],
    ['/credential', 'credentials'],
    ['/sessions', 'sessions'],
  ])('%s comes in pages that hold every row once', async (path, plural) => {
    const reader = rig.client(`reader of ${plural}`);
    const agent_id = await create(reader, '/agent', { name: 'first' });
    const body = {
      '/agent': { name: 'a' },
      '/credential': { data: { type: 'demo_credential' } },
      '/sessions': { agent_id },
    }[path];
    const made = path === '/agent' ? [agent_id] : [];
    while (made.length < 5) made.push(await create(reader, path, body));
    const pages: string[][] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      type Row = { id?: string; session?: { id: string } };
      const page = await reader.ok<Record<string, unknown>>(
        'GET',
        `${path}?limit=2${cursor ? `&cursor=${cursor}` : ''}`,
      );
      expect(page['total']).toBe(5);
      pages.push((page[plural] as Row[]).map((row) => String(row.id ?? row.session?.id)));
      cursor = page['next_cursor'] as string | null;
    }
    expect(pages.map((page) => page.length)).toEqual([2, 2, 1]);
    expect(pages.flat()).toEqual(made.reverse());
  });

  it.each(['limit=0', 'limit=201', 'limit=x', 'limit=1.5', 'cursor=x'])('refuse %s', async (query) => {
    expect(faultsOf(await client.request('GET', `/agent?${query}`))).toEqual([query.split('=')[0]]);
  });
});
