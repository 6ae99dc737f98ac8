import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MIGRATIONS } from '../../migrations/all.js';
import { ENTITIES } from '../../src/aerie.module.js';
import { Principal, SystemPrincipal } from '../../src/auth/principal.js';
import { newId } from '../../src/platform/ids.js';
import { Database } from '../../src/platform/database/database.js';
import { migrate } from '../../src/platform/database/database.module.js';
import { UsagePgStore } from '../../src/usage/usage.pg-store.js';
import { type Dimension, DIMENSIONS, UsageQuery } from '../../src/usage/usage.schema.js';
import type { UsageFilter } from '../../src/usage/usage.store.js';
import { Chance } from '../../src/core/testing/chance.js';
import { SEED } from '../chaos/seed.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

const system = new SystemPrincipal('test');
const DAY = 86_400_000;
const START = Date.UTC(2026, 5, 1, 7, 30);
const TOKENS = [
  'input_tokens',
  'output_tokens',
  'cache_input_tokens',
  'cache_creation_input_tokens',
  'reasoning_tokens',
] as const;

interface Call extends Record<(typeof TOKENS)[number], number> {
  tenant_id: string;
  id: string;
  user_id: string;
  agent_id: string;
  session_id: string;
  run_id: string;
  credential_id: string | null;
  provider: string;
  model: string;
  outcome: 'completed' | 'failed' | 'interrupted';
  /** In millionths, so that the test adds whole numbers. */
  cost: number | null;
  currency: string | null;
  ended_at: Date;
}

let given: TestDatabase;
let database: Database;
let store: UsagePgStore;
let calls: Call[] = [];
const chance = new Chance(SEED);

/** An id as it would have been made at that time. */
const idAt = (time: number): string => {
  const head = time.toString(16).padStart(12, '0');
  return `${head.slice(0, 8)}-${head.slice(8)}${newId().slice(13)}`;
};

const ids = (count: number) => Array.from({ length: count }, () => newId());
const names = { agents: ids(2), sessions: ids(4), runs: ids(9), credentials: [...ids(2), null] };

function makeCall(): Call {
  const time = START + chance.between(0, 5 * DAY);
  const model = chance.pick(['large', 'small']);
  const currency = chance.pick(['USD', 'USD', 'CNY', null]);
  const tokens = Object.fromEntries(TOKENS.map((name) => [name, chance.between(0, 5000)])) as Pick<
    Call,
    (typeof TOKENS)[number]
  >;
  return {
    tenant_id: chance.pick(['acme', 'acme', 'globex']),
    id: idAt(time),
    user_id: chance.pick(['alice', 'bob']),
    agent_id: chance.pick(names.agents),
    session_id: chance.pick(names.sessions),
    run_id: chance.pick(names.runs),
    credential_id: chance.pick(names.credentials),
    provider: `${model}_provider`,
    model,
    outcome: chance.pick(['completed', 'completed', 'failed', 'interrupted']),
    ...tokens,
    cost: currency === null ? null : chance.between(0, 90_000),
    currency,
    ended_at: new Date(time),
  };
}

async function insert(added: readonly Call[]): Promise<void> {
  const rows = added.map((call) => ({
    reply_id: 'r',
    attempt: 1,
    is_fallback: false,
    started_at: call.ended_at,
    rolled: false,
    ...call,
    cost: call.cost === null ? null : call.cost / 1e6,
  }));
  await database.run(
    'insert',
    'INSERT INTO model_calls SELECT * FROM jsonb_populate_recordset(NULL::model_calls, $1::jsonb)',
    [JSON.stringify(rows)],
  );
  calls = [...calls, ...added];
}

const valueOf = (call: Call, dimension: Dimension): string | null => {
  if (dimension === 'day') return call.ended_at.toISOString().slice(0, 10);
  if (dimension === 'provider' || dimension === 'model') return call[dimension];
  return call[`${dimension}_id`];
};

function sumsOf(of: readonly Call[]) {
  const costs = new Map<string, number>();
  for (const { currency, cost } of of) if (currency) costs.set(currency, (costs.get(currency) ?? 0) + (cost ?? 0));
  return {
    calls: of.length,
    failed_calls: of.filter(({ outcome }) => outcome === 'failed').length,
    unpriced_calls: of.filter(({ currency }) => currency === null).length,
    ...Object.fromEntries(TOKENS.map((name) => [name, of.reduce((sum, call) => sum + call[name], 0)])),
    costs: [...costs]
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([currency, cost]) => ({ currency, amount: String(cost / 1e6) })),
  };
}

function matches(call: Call, principal: Principal, filter: UsageFilter): boolean {
  if (call.tenant_id !== principal.tenant_id || call.ended_at < filter.from || call.ended_at >= filter.to) return false;
  const wanted = {
    user_id: filter.user_id ?? undefined,
    agent_id: filter.agent_id,
    session_id: filter.session_id,
    credential_id: filter.credential_id,
    provider: filter.provider,
    model: filter.model,
  };
  return Object.entries(wanted).every(([name, value]) => value === undefined || call[name as keyof Call] === value);
}

/** What the store says of any question agrees with the calls themselves, page by page. */
async function expectAgreement(): Promise<void> {
  const principal = new Principal('acme', 'alice');
  const by = [...DIMENSIONS].filter(() => chance.hits(0.3)).slice(0, 3);
  const dimensions: Dimension[] = by.length > 0 ? by : ['day'];
  const from = new Date(START + chance.between(-1, 4) * DAY + chance.pick([0, 16.5, -7.5, 3]) * 3_600_000);
  const filter: UsageFilter = {
    from,
    to: new Date(from.getTime() + chance.between(1, 5 * 24) * 3_600_000),
    user_id: chance.pick(['alice', null]),
    ...(chance.hits(0.3) && { agent_id: chance.pick(names.agents) }),
    ...(chance.hits(0.3) && { session_id: chance.pick(names.sessions) }),
    ...(chance.hits(0.2) && { credential_id: chance.pick(names.credentials) ?? undefined }),
    ...(chance.hits(0.2) && { model: chance.pick(['large', 'small']) }),
  };
  const fitting = calls.filter((call) => matches(call, principal, filter));
  const grouped = Map.groupBy(fitting, (call) =>
    JSON.stringify(dimensions.map((dimension) => valueOf(call, dimension))),
  );
  const expected = [...grouped].map(([key, of]): object => {
    const values: Record<string, unknown> = {};
    for (const [n, value] of (JSON.parse(key) as (string | null)[]).entries()) values[dimensions[n] ?? ''] = value;
    return { ...values, ...sumsOf(of) };
  });
  const found: object[] = [];
  const limit = chance.between(1, 10);
  for (let after: (string | null)[] | null = null; ;) {
    const page = await store.groups(principal, filter, { by: dimensions, limit, after });
    found.push(...page);
    const last = page.at(-1);
    if (page.length < limit || !last) break;
    after = dimensions.map((dimension) => last[dimension] ?? null);
  }
  const order = (group: object) =>
    JSON.stringify(dimensions.map((dimension) => (group as Record<string, unknown>)[dimension] ?? '0'));
  expect(found).toEqual(expected.sort((one, other) => (order(one) < order(other) ? -1 : 1)));
  expect(await store.total(principal, filter)).toEqual(sumsOf(fitting));
}

beforeAll(async () => {
  given = await createTestDatabase();
  database = await Database.connect({
    url: given.url,
    pool: 6,
    application_name: 'test',
    entities: ENTITIES,
    migrations: MIGRATIONS,
  });
  await migrate(database, given.url);
  store = new UsagePgStore(database);
});

afterAll(async () => {
  await database.close();
  await given.drop();
});

describe('UsageStore', () => {
  it('has nothing to say of a tenant without calls', async () => {
    const filter = { from: new Date(START), to: new Date(START + DAY), user_id: null };
    const page = { by: ['day' as const], limit: 5, after: null };
    expect(await store.groups(new Principal('nobody', 'x'), filter, page)).toEqual([]);
    expect(await store.total(new Principal('nobody', 'x'), filter)).toEqual(sumsOf([]));
  });

  it('agrees with the calls for every question, whatever part of them is rolled up', async () => {
    for (let round = 0; round < 12; round += 1) {
      await insert(Array.from({ length: 60 }, makeCall));
      if (round > 0) await store.rollUp(system, chance.between(1, 90));
      for (let asked = 0; asked < 12; asked += 1) await expectAgreement();
    }
  });

  it('rolls every call up once, by however many nodes at a time', async () => {
    await insert(Array.from({ length: 500 }, makeCall));
    const roll = async () => {
      let rolled = 0;
      for (let added = -1; added !== 0; rolled += Math.max(added, 0)) added = await store.rollUp(system, 23);
      return rolled;
    };
    const [{ left } = { left: -1 }] = await database.run<{ left: number }>(
      'left',
      'SELECT count(*) AS left FROM model_calls WHERE NOT rolled',
      [],
    );
    const rolled = await Promise.all([roll(), roll(), roll(), roll()]);
    expect(rolled.reduce((sum, one) => sum + one, 0)).toBe(left);
    expect(await store.rollUp(system, 10)).toBe(0);
    for (let asked = 0; asked < 20; asked += 1) await expectAgreement();
    const [sums] = await database.run(
      'all',
      'SELECT sum(calls) AS calls, sum(input_tokens) AS input FROM usage_rollups',
      [],
    );
    expect([Number(sums?.['calls']), Number(sums?.['input'])]).toEqual([
      calls.length,
      calls.reduce((sum, call) => sum + call.input_tokens, 0),
    ]);
  });
});

describe('UsageQuery', () => {
  it.each([
    ['group_by', { group_by: 'moon' }],
    ['group_by', { group_by: 'day,day' }],
    ['group_by', { group_by: 'day,model,user,agent' }],
    ['from', { from: '2026-06-02', to: '2026-06-01' }],
    ['from', { from: '2020-01-01', to: '2026-06-01' }],
    ['from', { from: 'yesterday' }],
    ['limit', { limit: '0' }],
  ])('refuses what is wrong with %s', (path, query) => {
    const parsed = UsageQuery.safeParse(query);
    expect(parsed.error?.issues.map((issue) => issue.path[0])).toContain(path);
  });

  it('reads dates and times, and looks thirty days back by itself', () => {
    const query = UsageQuery.parse({ to: '2026-06-30', group_by: 'day, model' });
    expect([query.from.toISOString(), query.group_by]).toEqual(['2026-05-31T00:00:00.000Z', ['day', 'model']]);
    expect(UsageQuery.parse({ from: '2026-06-01T10:00:00+02:00', to: '2026-06-02' }).from.toISOString()).toBe(
      '2026-06-01T08:00:00.000Z',
    );
  });
});
