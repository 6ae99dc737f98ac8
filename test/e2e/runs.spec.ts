import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { isDelta, type RunBody, Site, Talk } from '../chaos/matrix-support.js';
import { report } from '../chaos/seed.js';
import { ApiClient } from '../support/client.js';
import { faultsOf, ISO, NOWHERE, refusal } from '../support/crud.js';
import { AUDIENCE, ISSUER, TokenIssuer } from '../support/token-issuer.js';
import { type Rig, startRig } from '../support/rig.js';

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

async function open(): Promise<Talk> {
  const talk = await Talk.open({ url });
  talks.push(talk);
  return talk;
}

const SLEEPS = '/say zzz\n/sleep 600000';
const TOOL = '/tool calculator {"expression":"6*7"}\n/then\n/say done';

describe('a run', () => {
  it('that is completed has its times, its usage and nothing open', async () => {
    const talk = await open();
    const { run_id } = await talk.say(TOOL);
    const run = await talk.ended(run_id);
    const time = expect.stringMatching(ISO);
    const count = expect.any(Number);
    expect(run).toEqual({
      id: run_id,
      session_id: talk.session_id,
      agent_id: talk.agent_id,
      reply_id: (await talk.client.messages(talk.session_id)).messages[1]?.id,
      status: 'completed',
      attempt: 1,
      accepted_at: time,
      started_at: time,
      finished_at: time,
      queued_ms: count,
      work_ms: count,
      usage: expect.objectContaining({ input_tokens: count, output_tokens: count }),
      error: null,
      stop: null,
      open_calls: [],
    });
    expect(Date.parse(run.finished_at ?? '')).toBeGreaterThanOrEqual(Date.parse(run.started_at ?? ''));
  });

  it('that failed says why, and one that is queued has not started', async () => {
    const talk = await open();
    const failed = await talk.say('/fail invalid_request');
    expect(await talk.ended(failed.run_id)).toMatchObject({ status: 'failed', error: { type: 'invalid_request' } });
    await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const { run_id } = await talk.say('later');
    const nothing = { started_at: null, finished_at: null, queued_ms: null, usage: null, error: null };
    expect(await talk.run(run_id)).toMatchObject({ status: 'queued', attempt: 0, work_ms: 0, ...nothing });
    await talk.client.ok('POST', `/sessions/${talk.session_id}/interrupt`);
  });
});

describe('the runs of a session', () => {
  it('are listed newest first, in pages, and by status', async () => {
    const talk = await open();
    const made: string[] = [];
    for (const text of ['one', '/fail invalid_request', 'three', 'four', '/fail invalid_request']) {
      made.unshift((await talk.say(text)).run_id);
      await talk.ended(made[0] ?? '');
    }
    type Page = { runs: RunBody[]; total: number; next_cursor: string | null };
    const pages: string[][] = [];
    for (let cursor: string | null = ''; cursor !== null;) {
      const query = `limit=2${cursor && `&cursor=${cursor}`}`;
      const page: Page = await talk.client.ok<Page>('GET', `/sessions/${talk.session_id}/runs?${query}`);
      expect(page.total).toBe(5);
      pages.push(page.runs.map((run) => run.id));
      cursor = page.next_cursor;
    }
    expect(pages).toEqual([made.slice(0, 2), made.slice(2, 4), made.slice(4)]);
    const path = `/sessions/${talk.session_id}/runs?status=failed`;
    const failed = await talk.client.ok<Page>('GET', `${path}&limit=1`);
    expect([failed.total, failed.runs.map((run) => run.id)]).toEqual([2, [made[0]]]);
    const rest = await talk.client.ok<Page>('GET', `${path}&cursor=${failed.next_cursor}`);
    expect([rest.next_cursor, rest.runs]).toEqual([null, [await talk.run(made[3] ?? '')]]);
    const none = await talk.client.ok<Page>('GET', `/sessions/${talk.session_id}/runs?status=waiting`);
    expect(none).toEqual({ runs: [], total: 0, next_cursor: null });
  });

  it.each(['limit=0', 'limit=201', 'cursor=x', 'status=done'])('refuse %s', async (query) => {
    const talk = await open();
    const answer = await talk.client.request('GET', `/sessions/${talk.session_id}/runs?${query}`);
    expect(faultsOf(answer)).toEqual([query.split('=')[0]]);
  });
});

describe('the explanation of a run', () => {
  const explain = (talk: Talk, run_id: string) =>
    talk.client.ok<{ run: RunBody; timeline: Record<string, string>[] }>('GET', `/runs/${run_id}/explain`);

  it('tells its steps and tool calls in order', async () => {
    const talk = await open();
    const { run_id } = await talk.say(TOOL);
    const ended = await talk.ended(run_id);
    const { run, timeline } = await explain(talk, run_id);
    expect(run).toEqual(ended);
    const steps = ['accepted', 'started', 'step', 'tool_started', 'tool_settled', 'step', 'completed'];
    expect(timeline.map(({ event }) => event).sort()).toEqual([...steps].sort());
    const first = (event: string) => timeline.findIndex((entry) => entry['event'] === event);
    expect(first('accepted')).toBe(0);
    expect(first('tool_started')).toBeLessThan(first('tool_settled'));
    expect(timeline.at(-1)).toMatchObject({ event: 'completed', node: expect.any(String) });
    expect(timeline[first('tool_settled')]).toMatchObject({ name: 'calculator', tool_call_id: expect.any(String) });
    const times = timeline.map(({ at }) => at);
    expect(times).toEqual([...times].sort());
  });

  it('tells who holds it, who claimed it, who asked to stop it, and what was never started', async () => {
    const talk = await open();
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const second = await talk.say('/say next\n/sleep 600000');
    const third = await talk.say('never');
    const held = (await explain(talk, first)).timeline;
    expect(held.map(({ event }) => event)).toEqual(['accepted', 'started', 'held']);
    await talk.client.ok('POST', `/runs/${third.run_id}/cancel`);
    await talk.client.ok('POST', `/runs/${first}/cancel`);
    await talk.follower.until(isDelta('next'));
    await talk.client.ok('POST', `/runs/${second.run_id}/cancel`);
    await talk.ended(second.run_id);
    const stop = { event: 'stop_requested', by: 'alice', mode: 'interrupt' };
    const of = async (run_id: string) => (await explain(talk, run_id)).timeline.filter((it) => it['event'] !== 'step');
    const node = expect.any(String);
    const begun = { event: 'claimed', node, lease_token: expect.any(Number) };
    expect(await of(first)).toMatchObject([
      { event: 'accepted' },
      { event: 'started' },
      stop,
      { event: 'interrupted' },
    ]);
    expect(await of(second.run_id)).toMatchObject([{ event: 'accepted' }, begun, stop, { event: 'interrupted', node }]);
    expect((await of(third.run_id)).map(({ event }) => event).sort()).toEqual([
      'accepted',
      'cancelled',
      'stop_requested',
    ]);
  });
});

describe('a cancel', () => {
  it('of a queued run takes that one out, and no other', async () => {
    const talk = await open();
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const second = await talk.say('never said');
    const third = await talk.say('third');
    const answer = await talk.client.request('POST', `/runs/${second.run_id}/cancel`);
    const { session_id } = talk;
    expect([answer.status, answer.body]).toEqual([
      202,
      { session_id, run_id: second.run_id, status: 'cancelled', was_running: true },
    ]);
    const cancelled = await talk.run(second.run_id);
    expect(cancelled).toMatchObject({
      status: 'cancelled',
      attempt: 0,
      started_at: null,
      stop: { requested_by: 'alice' },
    });
    expect(await talk.run(first)).toMatchObject({ status: 'running', stop: null });
    await talk.client.ok('POST', `/runs/${first}/cancel`);
    expect(await talk.ended(third.run_id)).toMatchObject({ status: 'completed', stop: null });
    expect(await talk.settle()).toEqual(['interrupted', 'cancelled', 'completed', 'completed']);
    expect((await talk.transcript()).filter((line) => /never said/.test(line))).toEqual([]);
  });

  it('of a run at work ends it at once and leaves what is queued', async () => {
    const talk = await open();
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const second = await talk.say('next');
    const answer = await talk.client.request('POST', `/runs/${first}/cancel`);
    const answeredAt = performance.now();
    expect([answer.status, answer.body]).toMatchObject([202, { run_id: first, status: 'running', was_running: true }]);
    await talk.follower.until((event) => event.type === 'REPLY_END');
    const took = Math.round(performance.now() - answeredAt);
    report('interrupt on one node', { 'ms after the 202': took });
    expect(took).toBeLessThan(1500);
    expect(await talk.ended(first)).toMatchObject({ status: 'interrupted', stop: { mode: 'interrupt' } });
    expect(await talk.ended(second.run_id)).toMatchObject({ status: 'completed', stop: null });
    expect(await talk.settle()).toEqual(['interrupted', 'completed', 'completed']);
  });

  it('of a run that has ended changes nothing', async () => {
    const talk = await open();
    const { run_id } = await talk.say('hello');
    const before = await talk.ended(run_id);
    const answer = await talk.client.request('POST', `/runs/${run_id}/cancel`);
    expect([answer.status, answer.body]).toMatchObject([202, { run_id, status: 'completed', was_running: false }]);
    expect(await talk.run(run_id)).toEqual(before);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });
});

describe('what belongs to somebody else', () => {
  const env = { AUTH_MODE: 'jwt', JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, JWT_TENANT_CLAIM: 'org' };
  let issuer: TokenIssuer;
  let rig: Rig;

  beforeAll(async () => {
    issuer = await TokenIssuer.start();
    rig = await startRig({ ...env, JWT_JWKS_URL: issuer.url });
  }, 30_000);
  afterAll(async () => {
    await rig.stop();
    await issuer.stop();
  });

  const caller = async (org: string, sub: string) =>
    new ApiClient(rig.url, sub, { authorization: `Bearer ${await issuer.token({ org, sub })}` });

  it('is not there, on any route, for another user nor for another tenant', async () => {
    const owner = await caller('acme', 'alice');
    const { session_id } = await owner.demoSession('mine');
    const stream = await owner.stream(session_id);
    const { run_id } = await owner.say(session_id, SLEEPS);
    await stream.until(({ event }) => isDelta('zzz')(event));
    const input = { type: 'EXTERNAL_EXECUTION_RESULT', reply_id: 'r', execution_results: [{ id: 'c', output: 'x' }] };
    for (const foreign of [await caller('acme', 'bob'), await caller('other', 'alice')]) {
      for (const [method, path] of [
        ['GET', ''],
        ['GET', '/explain'],
        ['POST', '/cancel'],
      ] as const) {
        for (const id of [run_id, NOWHERE, 'not-an-id']) {
          const answer = await foreign.request(method, `/runs/${id}${path}`);
          expect([method, path, ...refusal(answer)]).toEqual([method, path, 404, 'run_not_found']);
        }
      }
      for (const id of [session_id, 'mine', NOWHERE]) {
        const answers = [
          await foreign.request('GET', `/sessions/${id}/runs`),
          await foreign.request('GET', `/sessions/${id}/status`),
          await foreign.request('POST', `/sessions/${id}/interrupt`),
          await foreign.request('POST', '/chat', { session_id: id, input: { content: 'x' }, on_busy: 'interrupt' }),
          await foreign.request('POST', '/chat?wait=true', { session_id: id, input }),
        ];
        expect(answers.map(refusal)).toEqual(answers.map(() => [404, 'session_not_found']));
      }
      const stopped = await foreign.request('POST', '/stop', { user_id: foreign.user, session_id });
      expect(stopped.status).toBe(200);
    }
    expect(await owner.ok('GET', `/runs/${run_id}`)).toMatchObject({ status: 'running', stop: null });
    stream.close();
  });

  it('can be stopped with the scope act_as, within the tenant', async () => {
    const owner = await caller('acme', 'alice');
    const { session_id } = await owner.demoSession();
    const stream = await owner.stream(session_id);
    await owner.say(session_id, SLEEPS);
    await stream.until(({ event }) => isDelta('zzz')(event));
    const acting = async (org: string) => {
      const token = await issuer.token({ org, sub: 'warden', scope: 'runs:write act_as' });
      const client = new ApiClient(rig.url, 'warden', { authorization: `Bearer ${token}` });
      return (await client.request('POST', '/stop', { user_id: 'alice', session_id })).status;
    };
    expect(await acting('other')).toBe(200);
    expect(await owner.ok('GET', `/sessions/${session_id}/status`)).toMatchObject({ status: 'running' });
    expect(await acting('acme')).toBe(200);
    expect((await stream.replies()).event).toMatchObject({ finished_reason: 'interrupted' });
    stream.close();
  });
});
