import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { createHash } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from '../support/client.js';
import { create, refusal } from '../support/crud.js';
import { databaseEnv } from '../support/rig.js';
import { KEYED_HOST, runToExit, type Service, startService } from '../support/service.js';

const type = 'keyed_credential';
const HOUSE = { name: 'house', type, api_key: { env: 'HOUSE_KEY' }, region: 'canary-region' };
const PARTIAL = { name: 'a partial one', type, api_key: { env: 'PARTIAL_KEY' }, tenants: ['acme', 'beta'] };

const reply = (key: string) => `key ${createHash('sha256').update(key).digest('hex').slice(0, 12)}`;

interface View {
  id: string;
  editable: boolean;
  data: { name: string };
}
interface List {
  credentials: View[];
  total: number;
  next_cursor: string | null;
}

let database: Awaited<ReturnType<typeof databaseEnv>>;
let folder: string;
let service: Service;

beforeAll(async () => {
  database = await databaseEnv();
  folder = await mkdtemp(join(tmpdir(), 'aerie-operator-'));
  service = await start();
}, 30_000);
afterAll(async () => {
  await service.stop();
  await database.drop();
  await rm(folder, { recursive: true });
});

async function envOf(more: Record<string, string> = {}): Promise<Record<string, string>> {
  const file = join(folder, 'credentials.yaml');
  await writeFile(
    file,
    `- name: ${PARTIAL.name}\n  type: ${type}\n  api_key: { env: PARTIAL_KEY }\n  tenants: [acme, beta]\n`,
  );
  return {
    ...database.env,
    AERIE_CREDENTIALS: JSON.stringify([HOUSE]),
    AERIE_CREDENTIALS_FILE: file,
    HOUSE_KEY: 'sk-house',
    PARTIAL_KEY: 'sk-partial',
    ...more,
  };
}

const start = async (more?: Record<string, string>) => startService({ env: await envOf(more), program: KEYED_HOST });
const clientOf = (tenant: string, user = 'alice') => new ApiClient(service.url, user, { 'x-tenant-id': tenant });
const listOf = (client: ApiClient, query = '') => client.ok<List>('GET', `/credential${query}`);
const idOf = async (client: ApiClient, name: string) =>
  (await listOf(client)).credentials.find((it) => it.data.name === name)?.id ?? 'absent';

async function sessionWith(client: ApiClient, credential_id: string): Promise<string> {
  const chat_model_config = { type, credential_id, model: 'm' };
  const agent_id = await create(client, '/agent', { name: 'a', chat_model_config });
  return create(client, '/sessions', { agent_id });
}

/** What the model of a session says, which tells its key. */
async function said(client: ApiClient, session_id: string): Promise<string> {
  const { message } = await client.ok<{ message: { content: { text: string }[] } }>('POST', '/chat?wait=true', {
    session_id,
    input: { content: 'hello' },
  });
  return message.content[0]?.text ?? '';
}

describe('a credential of the operator', () => {
  it('is listed after the own ones by type and name alone, for the tenants that may use it', async () => {
    const acme = clientOf('acme');
    const own = await create(acme, '/credential', { data: { type: 'demo_credential', name: 'mine' } });
    const { credentials, total, next_cursor } = await listOf(acme);
    expect(credentials.map((it) => it.data.name)).toEqual(['mine', PARTIAL.name, HOUSE.name]);
    expect([credentials[0]?.id, total, next_cursor]).toEqual([own, 3, null]);
    expect(credentials.slice(1)).toEqual(
      [PARTIAL, HOUSE].map(({ name }) => ({
        id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-5/),
        user_id: null,
        data: { type, name },
        editable: false,
        created_at: null,
        updated_at: null,
      })),
    );
    for (const view of credentials.slice(1)) expect(await acme.ok('GET', `/credential/${view.id}`)).toEqual(view);
    const others = await listOf(clientOf('gamma'));
    expect(others.credentials.map((it) => it.data.name)).toEqual([HOUSE.name]);
    expect(await listOf(clientOf('acme', 'bob'))).toMatchObject({ total: 2 });
    await acme.ok('DELETE', `/credential/${own}`);
  });

  it('takes its place in pages of any size', async () => {
    const client = clientOf('acme', 'pager');
    for (let n = 0; n < 5; n++)
      await create(client, '/credential', { data: { type: 'demo_credential', name: `${n}` } });
    const whole = (await listOf(client)).credentials.map((it) => it.id);
    expect(whole).toHaveLength(7);
    for (const limit of [1, 2, 3, 4, 5, 6, 7, 8]) {
      const seen: string[] = [];
      for (let cursor: string | null = ''; cursor !== null;) {
        const page: List = await listOf(client, `?limit=${limit}${cursor && `&cursor=${cursor}`}`);
        expect(page.total).toBe(7);
        expect(page.credentials.length).toBeLessThanOrEqual(limit);
        seen.push(...page.credentials.map((it) => it.id));
        cursor = page.next_cursor;
      }
      expect([limit, seen]).toEqual([limit, whole]);
    }
  });

  it('is changed and deleted by nobody, and does not exist for other tenants', async () => {
    const acme = clientOf('acme');
    const id = await idOf(acme, PARTIAL.name);
    for (const [method, path, body] of [
      ['PATCH', `/credential/${id}`, { data: { api_key: 'mine' } }],
      ['DELETE', `/credential/${id}`, undefined],
      ['DELETE', `/credential/${id}?force=true`, undefined],
    ] as const) {
      expect(refusal(await acme.request(method, path, body))).toEqual([403, 'credential_not_editable']);
    }
    const stranger = clientOf('gamma');
    const config = { type, credential_id: id, model: 'm' };
    for (const [method, path, body] of [
      ['GET', `/credential/${id}`, undefined],
      ['PATCH', `/credential/${id}`, { data: {} }],
      ['DELETE', `/credential/${id}`, undefined],
      ['POST', `/credential/${id}/verify`, undefined],
      ['GET', `/credential/${id}/usages`, undefined],
      ['POST', '/agent', { name: 'a', chat_model_config: config }],
    ] as const) {
      expect([method, ...refusal(await stranger.request(method, path, body))]).toEqual([
        method,
        404,
        'credential_not_found',
      ]);
    }
  });

  it('works for whoever may use it, and says who of the caller does', async () => {
    const [acme, beta] = [clientOf('acme', 'u1'), clientOf('beta', 'u2')];
    const id = await idOf(acme, PARTIAL.name);
    const session = await sessionWith(acme, id);
    expect(await said(acme, session)).toBe(reply('sk-partial'));
    expect(await said(beta, await sessionWith(beta, id))).toBe(reply('sk-partial'));
    expect(await acme.ok('POST', `/credential/${id}/verify`)).toEqual({ ok: true });
    expect(await acme.ok('GET', `/credential/${id}/usages`)).toMatchObject({ totals: { agents: 1, sessions: 0 } });
    expect(await clientOf('acme', 'u3').ok('GET', `/credential/${id}/usages`)).toMatchObject({
      totals: { agents: 0, sessions: 0 },
    });
  });

  it('stands in no row, nor does its key', async () => {
    expect(await database.sql("SELECT 1 FROM credentials WHERE type = 'keyed_credential'")).toEqual([]);
    expect(await database.sql('SELECT 1 FROM tenant_keys')).toEqual([]);
  });
});

describe('after a restart with another configuration', () => {
  it('sessions use the new key; a credential that is gone is missing', async () => {
    const acme = clientOf('acme', 'restart');
    const [house, partial] = [await idOf(acme, HOUSE.name), await idOf(acme, PARTIAL.name)];
    const [one, two] = [await sessionWith(acme, house), await sessionWith(acme, partial)];
    expect([await said(acme, one), await said(acme, two)]).toEqual([reply('sk-house'), reply('sk-partial')]);
    await service.stop();
    service = await start({ HOUSE_KEY: 'sk-house-2', AERIE_CREDENTIALS_FILE: '' });
    const again = clientOf('acme', 'restart');
    expect(await idOf(again, HOUSE.name)).toBe(house);
    expect(await said(again, one)).toBe(reply('sk-house-2'));
    const answer = await again.request('POST', '/chat', { session_id: two, input: { content: 'x' } });
    expect(refusal(answer)).toEqual([404, 'credential_not_found']);
    await service.stop();
    service = await start();
    expect(await said(clientOf('acme', 'restart'), two)).toBe(reply('sk-partial'));
  }, 30_000);
});

describe('a wrong one stops the start by its name and field, and tells no value', () => {
  it.each<[string, object[], Record<string, string>, string]>([
    [
      'of an unknown type',
      [{ name: 'n', type: 'canary_type', api_key: 'canary' }],
      {},
      'AERIE_CREDENTIALS: "n": type: this service knows no such credential type',
    ],
    ['without its key', [{ name: 'n', type: 'openai_credential' }], {}, 'AERIE_CREDENTIALS: "n": api_key: '],
    [
      'with a key that is none',
      [{ name: 'n', type: 'openai_credential', api_key: { env: 'KEY' } }],
      { KEY: 'canary with spaces' },
      'AERIE_CREDENTIALS: "n": api_key: ',
    ],
    [
      'with a field it does not have',
      [{ name: 'n', type: 'openai_credential', api_key: 'canary', base: 'canary' }],
      {},
      'AERIE_CREDENTIALS: "n": ',
    ],
    [
      'with an unset variable',
      [{ name: 'n', type: 'openai_credential', api_key: { env: 'UNSET' } }],
      {},
      'AERIE_CREDENTIALS: "n": api_key: the variable UNSET is not set',
    ],
  ])('%s', async (_name, entries, more, fault) => {
    const other = await databaseEnv();
    try {
      const env = { ...other.env, ...more, AERIE_CREDENTIALS: JSON.stringify(entries) };
      const { code, output } = await runToExit({ env });
      expect(code).toBe(1);
      expect(output).toContain(`Aerie cannot start: ${fault}`);
      expect(output).not.toContain('canary');
    } finally {
      await other.drop();
    }
  });
});
