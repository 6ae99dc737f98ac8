import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { INTERRUPT_CHANNEL } from '../../src/platform/redis/keys.js';
import { Redis } from 'ioredis';
import { eventually } from '../support/eventually.js';
import { isDelta, isTerminal, Site, Talk } from './matrix-support.js';
import type { NodeProcess } from './node-process.js';
import { Chance } from '../../src/core/testing/chance.js';
import { FULL, report, SEED } from './seed.js';

/** How soon after the answer to a stop its run is over when somebody works on it; twice and more what is promised, for a busy machine. */
const SOON_MS = 1500;
const BOUNDARIES = FULL ? 40 : 12;

const chance = new Chance(SEED);
const took = new Map<string, number>();

let site: Site;
let api: NodeProcess;
let talk: Talk;

afterAll(() => report('interrupts', Object.fromEntries([...took].map(([name, ms]) => [name, `${ms} ms`]))));

/** Stops what the session does; resolves when its end was seen, and notes how long that took from the answer. */
async function interrupt(name: string, run_id: string): Promise<number> {
  const answer = await talk.client.request('POST', `/sessions/${talk.session_id}/interrupt`);
  const answeredAt = performance.now();
  expect([answer.status, answer.body]).toMatchObject([202, { was_running: true }]);
  await talk.follower.until(isTerminal(run_id));
  const ms = Math.round(performance.now() - answeredAt);
  took.set(name, ms);
  return ms;
}

const SAYS = '/say zzz\n/stream 10000 20';
const SLEEPS = '/say zzz\n/sleep 600000';
const tool = (name: string) => `/say now\n/tool ${name} {"ms":60000,"tag":"t"}\n/then\n/say after`;

async function inTool(name: string): Promise<string> {
  const { run_id } = await talk.say(tool(name));
  await talk.follower.until((event) => event.run_id === run_id && event.type === 'TOOL_RESULT_START');
  await eventually(async () => (await site.ledger.executions()).find((it) => it.ended_at === null));
  return run_id;
}

describe('a stop that comes in at another node than the one at work', () => {
  beforeAll(async () => {
    site = await Site.open({ AERIE_STOP_SECONDS: '1' });
    api = await site.node(['api']);
    await site.node(['worker']);
  }, 30_000);
  afterAll(() => site.close());
  beforeEach(async () => {
    talk = await Talk.open(api);
  });
  afterEach(() => talk.follower.close());

  it.each<[string, () => Promise<string>, string]>([
    ['while the model speaks', () => talk.sayUntil(SAYS, isDelta('tok3 ')), 'interrupted'],
    ['while the model is silent', () => talk.sayUntil(SLEEPS, isDelta('zzz')), 'interrupted'],
    ['in a tool', () => inTool('record'), 'interrupted'],
    ['in a tool that does not listen', () => inTool('stubborn'), 'interrupted'],
    ['while it is parked', async () => (await talk.park()).id, 'interrupted'],
    ['before it starts', async () => (await talk.say('never', { coalesce_ms: 60_000 })).run_id, 'cancelled'],
  ])('ends the run once and soon, and no other: %s', async (name, begin, status) => {
    const run_id = await begin();
    const ms = await interrupt(name, run_id);
    expect(ms).toBeLessThan(SOON_MS);
    expect(await talk.ended(run_id)).toMatchObject({ status, stop: { requested_by: 'alice', mode: 'interrupt' } });
    expect(await talk.settle()).toEqual([status, 'completed']);
  });

  it('takes what is queued behind along, each with its own end', async () => {
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const queued = [await talk.say('a'), await talk.say('b')];
    expect(await interrupt('with a queue', first)).toBeLessThan(SOON_MS);
    for (const { run_id } of queued) await talk.follower.until(isTerminal(run_id));
    expect(await talk.settle()).toEqual(['interrupted', 'cancelled', 'cancelled', 'completed']);
  });

  it('stops nothing that was said after it, however often it is repeated', async () => {
    let spared = 0;
    for (let round = 0; round < BOUNDARIES; round += 1) {
      const quiet = chance.between(0, 30);
      const { run_id } = await talk.say(`/say r${round}\n/sleep ${quiet}`);
      if (chance.hits(0.5)) await talk.follower.until(isDelta(`r${round}`));
      const path = `/sessions/${talk.session_id}/interrupt`;
      const stops = [
        talk.client.ok('POST', path),
        talk.client.ok('POST', chance.hits(0.5) ? path : `/runs/${run_id}/cancel`),
      ];
      await Promise.all(stops);
      const next = await talk.say(`/say next\n/sleep ${quiet}`);
      // One that names the run before is no word to this one.
      await talk.client.ok('POST', `/runs/${run_id}/cancel`);
      const ended = await talk.ended(next.run_id);
      expect(ended).toMatchObject({ status: 'completed', stop: null });
      spared += 1;
    }
    report('stops around a boundary', { rounds: spared });
    expect((await talk.settle()).filter((_, i) => i % 2 === 1)).toEqual(Array(BOUNDARIES).fill('completed'));
  });

  it('is not heard by the next run when its signal comes late and again', async () => {
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    await interrupt('first of two', first);
    const second = await talk.sayUntil('/say two\n/sleep 600', isDelta('two'));
    const [session] = await site.sql<{ tenant_id: string }>(
      `SELECT tenant_id FROM sessions WHERE id = '${talk.session_id}'`,
    );
    const { session_id } = talk;
    const signal = { tenant_id: session?.tenant_id, session_id, run_id: first, mode: 'rollback' };
    const redis = new Redis(site.redisUrl);
    for (let i = 0; i < 5; i += 1)
      expect(await redis.publish(INTERRUPT_CHANNEL, JSON.stringify(signal))).toBeGreaterThan(0);
    redis.disconnect();
    expect(await talk.ended(second)).toMatchObject({ status: 'completed' });
    expect(await talk.settle()).toEqual(['interrupted', 'completed', 'completed']);
  });
});

describe('a stop when nobody works', () => {
  beforeEach(async () => {
    site = await Site.open();
    api = await site.node(['api']);
    talk = await Talk.open(api);
  }, 30_000);
  afterEach(async () => {
    await talk.follower.close();
    await site.close();
  });

  it('is said by the first worker that comes, for a run that never starts', async () => {
    const { run_id } = await talk.say('never');
    const answer = await talk.client.ok('POST', `/sessions/${talk.session_id}/interrupt`);
    expect(answer).toMatchObject({ run_id: null, was_running: true });
    expect(await talk.run(run_id)).toMatchObject({ status: 'cancelled', attempt: 0 });
    await site.node(['worker']);
    await talk.follower.until(isTerminal(run_id));
    expect(await talk.settle()).toEqual(['cancelled', 'completed']);
  });

  it.each(['before', 'after'])('ends the run of a killed worker that was stopped %s it died', async (when) => {
    const worker = await site.node(['worker']);
    const run_id = await inTool('stubborn');
    const stop = () => talk.client.ok('POST', `/sessions/${talk.session_id}/interrupt`);
    if (when === 'before') worker.freeze();
    if (when === 'before') await stop();
    await worker.kill();
    if (when === 'after') await stop();
    const begun = performance.now();
    await site.node(['worker']);
    await talk.follower.until(isTerminal(run_id));
    took.set(`owner killed ${when === 'before' ? 'after' : 'before'} the stop`, Math.round(performance.now() - begun));
    expect(await talk.ended(run_id)).toMatchObject({ status: 'interrupted' });
    expect(await talk.settle()).toEqual(['interrupted', 'completed']);
    expect(await site.ledger.executions()).toHaveLength(1);
  });

  it('ends a run that its worker handed over when it went', async () => {
    const worker = await site.node(['worker']);
    const run_id = await talk.sayUntil(SAYS, isDelta('tok3 '));
    expect(await worker.stop()).toBe(0);
    await talk.client.ok('POST', `/sessions/${talk.session_id}/interrupt`);
    expect(await talk.run(run_id)).toMatchObject({ status: 'running', stop: { mode: 'interrupt' } });
    await site.node(['worker']);
    await talk.follower.until(isTerminal(run_id));
    expect(await talk.ended(run_id)).toMatchObject({ status: 'interrupted', attempt: 1 });
    expect(await talk.settle()).toEqual(['interrupted', 'completed']);
  });

  it('ends a parked run, also when it was answered before', async () => {
    const worker = await site.node(['worker']);
    const parked = await talk.park(2);
    await worker.kill();
    for (const call of parked.open_calls) await talk.answer(parked, [call.tool_call_id], 'too late');
    await talk.client.ok('POST', `/sessions/${talk.session_id}/interrupt`);
    await site.node(['worker']);
    await talk.follower.until(isTerminal(parked.id));
    expect(await talk.ended(parked.id)).toMatchObject({ status: 'interrupted', attempt: 1, open_calls: [] });
    expect(await talk.settle()).toEqual(['interrupted', 'completed']);
    expect((await talk.transcript())[1]).toBe('interrupted wait');
  });

  it.each(['at work', 'parked'])('takes the reply of a dead worker back, of a run that was %s', async (state) => {
    const worker = await site.node(['worker']);
    const steps = '/say one\n/tool record {"ms":0,"tag":"t"}\n/then\n';
    const last = state === 'parked' ? '/say two\n/tool external {"ms":0,"tag":"x"}' : '/say two\n/sleep 600000';
    const first = await talk.sayUntil(
      steps + last,
      state === 'parked' ? (event) => event.type === 'REQUIRE_EXTERNAL_EXECUTION' : isDelta('two'),
    );
    if (state === 'parked') await talk.reaches(first, 'waiting');
    await worker.kill();
    const next = await talk.say('instead', { on_busy: 'rollback' });
    expect(next).toMatchObject({ status: 'queued', stopped_run_id: first });
    await site.node(['worker']);
    await talk.follower.until(isTerminal(next.run_id));
    expect(await talk.run(first)).toMatchObject({ status: 'interrupted', stop: { mode: 'rollback' } });
    expect(await talk.settle()).toEqual(['interrupted', 'completed', 'completed']);
    expect((await talk.transcript()).slice(1, 3)).toEqual(['user instead', 'completed You said: instead']);
  });
});
