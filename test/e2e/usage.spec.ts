import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { AgentEvent, EventOf } from '../../src/core/events/agent-event.js';
import { addUsage, NO_USAGE, type Usage } from '../../src/core/messages/message.js';
import type { UsageReport } from '../../src/usage/usage.schema.js';
import { isTerminal, type RunBody, Site, Talk } from '../chaos/matrix-support.js';
import { Chance } from '../../src/core/testing/chance.js';
import { SEED } from '../chaos/seed.js';
import { ApiClient } from '../support/client.js';
import { refusal } from '../support/crud.js';
import { eventually } from '../support/eventually.js';
import { AUDIENCE, ISSUER, TokenIssuer } from '../support/token-issuer.js';
import { type Rig, startRig } from '../support/rig.js';

type Run = RunBody & { usage: Usage | null };

let site: Site;
let url: string;
const talks: Talk[] = [];

beforeAll(async () => {
  site = await Site.open({}, { alone: true });
  ({ url } = await site.node());
}, 30_000);

afterAll(async () => {
  for (const talk of talks) await talk.follower.close();
  await site.close();
});

async function open(user?: string): Promise<Talk> {
  const talk = await Talk.open({ url }, { user });
  talks.push(talk);
  return talk;
}

const tokens = (of: Usage): Usage =>
  Object.fromEntries(Object.keys(NO_USAGE).map((name) => [name, of[name as keyof Usage]])) as Usage;
const sum = (all: readonly Usage[]): Usage => all.reduce((total, one) => addUsage(total, tokens(one)), NO_USAGE);
const ask = (client: ApiClient, query: string): Promise<UsageReport> =>
  client.ok<UsageReport>('GET', `/usage?${query}`);

/** Something of everything a model call may come to. */
function script(chance: Chance): string {
  const pieces = [
    '/say one two three',
    '/think so and so\n/say well',
    '/stream 20 1',
    '/tool calculator {"expression":"6*7"}\n/then\n/say done',
    '/tool calculator {"expression":"1+1"}\n/tool calculator {"expression":"2+2"}\n/then\n/think hm\n/tool nobody {}\n/then\n/say at last',
    '/say a\n/fail upstream',
    '/fail rate_limit',
    '/fail authentication',
    '/say zzz\n/sleep 600000',
  ];
  return chance.pick(pieces);
}

describe('usage', () => {
  it('adds up: events, runs, calls on record and every way to sum them, before and after they are rolled up', async () => {
    const chance = new Chance(SEED);
    const conversations = await Promise.all(Array.from({ length: 4 }, () => open('adder')));
    await Promise.all(
      conversations.map(async (talk) => {
        for (let said = 0; said < 6; said += 1) {
          const text = script(chance);
          const { run_id } = await talk.say(text);
          if (text.includes('600000')) {
            await talk.follower.until((event) => event.type === 'TEXT_BLOCK_DELTA' && event.run_id === run_id);
            await talk.client.ok('POST', `/runs/${run_id}/cancel`);
          }
          await talk.follower.until(isTerminal(run_id));
        }
      }),
    );
    const [{ client }] = conversations as [Talk];
    const runs = (
      await Promise.all(
        conversations.map(({ session_id }) => client.ok<{ runs: Run[] }>('GET', `/sessions/${session_id}/runs`)),
      )
    ).flatMap((page) => page.runs);
    const ends = new Map<string, EventOf<'MODEL_CALL_END'>[]>();
    for (const { follower } of conversations) {
      for (const { event } of follower.seen) {
        if (event.type === 'MODEL_CALL_END' && event.run_id)
          ends.set(event.run_id, [...(ends.get(event.run_id) ?? []), event]);
      }
    }
    expect(runs).toHaveLength(24);

    const byRun = await ask(client, 'group_by=run');
    const all = sum([...ends.values()].flat());
    expect(all.input_tokens).toBeGreaterThan(0);
    for (const run of runs) {
      const ofEvents = ends.get(run.id) ?? [];
      expect(run.usage).toEqual(sum(ofEvents));
      const group = byRun.usage.find((it) => it.run === run.id);
      expect(group && { ...tokens(group), calls: group.calls, failed: group.failed_calls }).toEqual({
        ...sum(ofEvents),
        calls: ofEvents.length,
        failed: ofEvents.filter(({ error_type }) => error_type !== undefined).length,
      });
    }
    const expectSums = async () => {
      for (const by of [
        'run',
        'session',
        'agent',
        'credential',
        'user',
        'tenant',
        'day',
        'provider,model',
        'day,session,model',
      ]) {
        const { usage, total } = await ask(client, `group_by=${by}`);
        expect(sum(usage)).toEqual(all);
        expect(tokens(total)).toEqual(all);
        expect(total.calls).toBe([...ends.values()].flat().length);
      }
    };
    await expectSums();
    await eventually(async () => {
      const [row] = await site.sql<{ left: string }>('SELECT count(*) AS left FROM model_calls WHERE NOT rolled');
      return Number(row?.left) === 0 || undefined;
    }, 30_000);
    await expectSums();
  }, 90_000);

  it('names what was used, and keeps it when the session is gone', async () => {
    const talk = await open('keeper');
    await talk.ended((await talk.say('/say one two')).run_id);
    await talk.client.ok('DELETE', `/sessions/${talk.session_id}`);
    const { usage, next_cursor } = await ask(talk.client, `group_by=session,agent,model&session_id=${talk.session_id}`);
    expect(usage).toEqual([
      {
        session: talk.session_id,
        agent: talk.agent_id,
        model: 'demo-1',
        calls: 1,
        failed_calls: 0,
        unpriced_calls: 1,
        costs: [],
        ...NO_USAGE,
        input_tokens: expect.any(Number),
        output_tokens: 2,
      },
    ]);
    expect(next_cursor).toBeNull();
  });

  it('is paged', async () => {
    const talk = await open('pager');
    const runs = [];
    for (const text of ['one', 'two', 'three']) runs.push((await talk.say(`/say ${text}`)).run_id);
    await talk.ended(runs.at(-1) ?? '');
    const first = await ask(talk.client, 'group_by=run&limit=2');
    const rest = await ask(talk.client, `group_by=run&limit=2&cursor=${first.next_cursor}`);
    expect([...first.usage, ...rest.usage].map(({ run }) => run)).toEqual(runs);
    expect([first.total.calls, rest.total.calls, rest.next_cursor]).toEqual([3, 3, null]);
  });

  it('does not tell of other users, and refuses what it cannot read', async () => {
    const talk = await open('one');
    await talk.ended((await talk.say('/say hm')).run_id);
    const other = new ApiClient(url, 'other');
    expect((await ask(other, `group_by=session&session_id=${talk.session_id}`)).usage).toEqual([]);
    expect(refusal(await other.request('GET', '/usage?scope=tenant'))).toEqual([403, 'forbidden']);
    expect(refusal(await other.request('GET', '/usage?user_id=one'))).toEqual([400, 'validation_failed']);
    expect(refusal(await other.request('GET', '/usage?cursor=xyz'))).toEqual([400, 'validation_failed']);
    const nul = Buffer.from(JSON.stringify(['\0'])).toString('base64url');
    expect(refusal(await other.request('GET', `/usage?cursor=${nul}`))).toEqual([400, 'validation_failed']);
    expect(refusal(await other.request('GET', '/usage?group_by=weather'))).toEqual([400, 'validation_failed']);
  });

  it('says of every attempt which one it is', async () => {
    const talk = await open('retrier');
    const { run_id } = await talk.say('/fail connection');
    await talk.follower.until(isTerminal(run_id));
    const calls = talk.follower.seen.flatMap(({ event }: { event: AgentEvent }) =>
      event.type === 'MODEL_CALL_END'
        ? [[event.model_name, event.provider, event.attempt, event.is_fallback, event.error_type]]
        : [],
    );
    expect(calls).toEqual([1, 2, 3].map((attempt) => ['demo-1', 'demo_credential', attempt, false, 'connection']));
    const { total } = await ask(talk.client, '');
    expect([total.calls, total.failed_calls]).toEqual([3, 3]);
  });
});

describe('usage of a tenant', () => {
  let issuer: TokenIssuer;
  let rig: Rig;
  beforeAll(async () => {
    issuer = await TokenIssuer.start();
    rig = await startRig({
      AUTH_MODE: 'jwt',
      JWT_ISSUER: ISSUER,
      JWT_AUDIENCE: AUDIENCE,
      JWT_JWKS_URL: issuer.url,
      JWT_TENANT_CLAIM: 'org',
    });
  }, 60_000);
  afterAll(async () => {
    await rig.stop();
    await issuer.stop();
  });

  const client = async (claims: Record<string, string>) =>
    new ApiClient(rig.url, '', { authorization: `Bearer ${await issuer.token(claims)}` });

  it('is seen by whose token names usage:tenant, within the tenant', async () => {
    for (const [org, sub] of [
      ['acme', 'alice'],
      ['acme', 'bob'],
      ['globex', 'carol'],
    ] as const) {
      const user = await client({ org, sub });
      const { session_id } = await user.demoSession();
      await user.ok('POST', '/chat?wait=true', { session_id, input: { content: '/say hello' } });
      expect(refusal(await user.request('GET', '/usage?scope=tenant'))).toEqual([403, 'forbidden']);
    }
    const warden = await client({ org: 'acme', sub: 'warden', scope: 'usage:read usage:tenant' });
    const { usage, total } = await ask(warden, 'scope=tenant&group_by=user');
    expect(usage.map(({ user, calls }) => [user, calls])).toEqual([
      ['alice', 1],
      ['bob', 1],
    ]);
    expect(total.output_tokens).toBe(2);
    expect((await ask(warden, 'scope=tenant&user_id=bob')).total.calls).toBe(1);
    expect((await ask(warden, '')).total.calls).toBe(0);
  });
});
