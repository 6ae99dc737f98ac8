import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import type { ApiClient } from '../support/client.js';
import { eventually } from '../support/eventually.js';
import { Follower } from './follower.js';
import { ended, expectAgreement, expectOneEndEach, holds, logEntries } from './looks.js';
import { RedisLink } from './redis-link.js';
import { report } from './seed.js';
import { Stage } from './stage.js';
import { isBy, watchWrites, writesTo } from './writes.js';
import { UNASKED } from '../support/client.js';

const isDelta = (text: string) => (event: AgentEvent) => event.type === 'TEXT_BLOCK_DELTA' && event.delta === text;
const isEnd = (event: AgentEvent) => event.type === 'REPLY_END';
const isRewind = (event: AgentEvent) => event.type === 'CUSTOM' && event.name === 'reply_rewound';

/** A turn with a tool and a checkpoint behind it, then a slow one. */
const script = (tag: string, count: number, ms: number) =>
  `/say before\n/tool record {"ms":0,"tag":"${tag}"}\n/then\n/stream ${count} ${ms}\n/say after`;

let stage: Stage;
let client: ApiClient;
let session_id: string;
let follower: Follower;
const cleanUp: (() => Promise<unknown> | void)[] = [];

beforeEach(async () => {
  stage = await Stage.open();
  cleanUp.push(() => stage.close());
  client = stage.client();
  ({ session_id } = await client.demoSession(undefined, UNASKED));
  follower = follow();
});
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

function follow(after = 0): Follower {
  const made = new Follower(client, session_id, { after });
  cleanUp.push(() => made.close());
  return made;
}

async function openLink(): Promise<RedisLink> {
  const link = await RedisLink.open(stage.redisPort);
  cleanUp.push(() => link.close());
  return link;
}

/** What every scenario comes to: one end, followers who agree with the record, also one who reads it all again, and no call run twice. */
async function expectGoodEnd(tag: string, scenario: string, status = 'completed'): Promise<void> {
  await follower.until(isEnd);
  const [run] = await stage.sql<{ status: string; attempt: number }>('SELECT status, attempt FROM runs');
  expect(run?.status).toBe(status);
  await expectAgreement(follower, client);
  await expectOneEndEach(follower, client);
  await expectAgreement(follow(), client);
  const executions = await stage.ledger.of(tag);
  expect(executions).toHaveLength(1);
  report(scenario, {
    attempts: run?.attempt ?? 0,
    'tool calls': executions.length,
    events: follower.seen.length,
    gaps: follower.gaps,
    rewinds: follower.rewinds,
    connections: follower.connections,
  });
}

describe('an owner that stands still for longer than its lease', () => {
  it('writes nothing once another has taken over, and the reply ends once', async () => {
    await watchWrites(stage);
    const first = await stage.worker();
    const { run_id } = await client.say(session_id, script('a', 70, 100));
    await follower.until(isDelta('tok3 '));
    const second = await stage.worker();
    expect(await holds(stage, first, session_id)).toBe(true);
    first.freeze();
    cleanUp.push(() => first.thaw());
    await eventually(async () => (await holds(stage, second, session_id)) || undefined, 20_000);
    await follower.until(isRewind);
    first.thaw();
    expect((await fetch(`${first.url}/liveness`)).status).toBe(200);
    await ended(stage, run_id);
    await expectGoodEnd('a', 'frozen owner');

    const writes = await writesTo(stage, session_id);
    const takenOver = writes.find(isBy(second))?.id ?? 0;
    expect(writes.some((write) => isBy(first)(write) && write.id < takenOver)).toBe(true);
    expect(writes.filter((write) => isBy(first)(write) && write.id > takenOver)).toEqual([]);
    const tokens = (await logEntries(stage, session_id)).map((entry) => entry.token);
    expect(tokens).toEqual([...tokens].sort((a, b) => a - b));
    expect(new Set(tokens).size).toBe(2);
  });
});

describe('an owner whose way to Redis is cut', () => {
  it('doubles no event when the answers to its appends are lost', async () => {
    const link = await openLink();
    await stage.worker(link.url);
    await client.say(session_id, script('c', 30, 50));
    for (let cuts = 1; cuts <= 5; cuts += 1) {
      link.cutAfterAppends(1);
      await eventually(() => (link.cut >= cuts ? true : undefined));
      await follower.until(isDelta(`tok${3 * cuts} `));
    }
    await expectGoodEnd('c', 'connection cut after an append');
    const seqs = (await logEntries(stage, session_id)).flatMap(({ events }) => events.map(({ seq }) => seq));
    expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
  });

  it('doubles no event when it gives up waiting for an answer and tries again with more', async () => {
    const link = await openLink();
    await stage.worker(link.url);
    const { run_id } = await client.say(session_id, script('c', 30, 50));
    await follower.until(isDelta('tok3 '));
    link.mode = 'mute';
    await ended(stage, run_id);
    expect(link.muted).toBeGreaterThan(0);
    link.mode = 'pass';
    link.sever();
    await expectGoodEnd('c', 'answers withheld');
    const byNumber = new Map<number, string>();
    for (const { events } of await logEntries(stage, session_id))
      for (const { seq, event } of events) expect(byNumber.get(seq) ?? event.id).toBe(event.id);
  });
});

describe('an owner that dies with its last words unheard', () => {
  it('has its reply ended for it when Redis was out of its reach', async () => {
    const link = await openLink();
    const owner = await stage.worker(link.url);
    const { run_id } = await client.say(session_id, script('b', 20, 50));
    await follower.until(isDelta('tok3 '));
    link.mode = 'hold';
    await ended(stage, run_id);
    expect(follower.ends()).toEqual([]);
    await owner.kill();
    await stage.worker();
    await expectGoodEnd('b', 'killed before its last append');
  });

  it('has its reply ended for it when Redis was away, and came back empty', async () => {
    const owner = await stage.worker();
    const { run_id } = await client.say(session_id, script('e', 20, 50));
    await follower.until(isDelta('tok3 '));
    await stage.killRedis();
    await ended(stage, run_id);
    await owner.kill();
    await stage.reviveRedis();
    await stage.worker();
    await expectGoodEnd('e', 'Redis away at the end');
  });

  it('has its reply ended once when Redis stood still, and hears late what the dead one sent', async () => {
    const owner = await stage.worker();
    const { run_id } = await client.say(session_id, script('s', 20, 50));
    await follower.until(isDelta('tok3 '));
    process.kill(stage.redisPid, 'SIGSTOP');
    try {
      await ended(stage, run_id);
      await owner.kill();
    } finally {
      process.kill(stage.redisPid, 'SIGCONT');
    }
    await stage.worker();
    await expectGoodEnd('s', 'Redis frozen at the end');
  });
});

describe('a log that is lost together with its owner', () => {
  it.each(['emptied', 'killed'])(
    'is begun anew when Redis was %s; who stood further back hears of the gap',
    async (how) => {
      const owner = await stage.worker();
      const { run_id } = await client.say(session_id, script('d', 60, 50));
      const behind = follow();
      await behind.pauseAt((event) => event.type === 'TEXT_BLOCK_START');
      await follower.until(isDelta('tok3 '));
      await Promise.all([
        owner.kill(),
        how === 'killed' ? stage.killRedis() : stage.redis((redis) => redis.flushall()),
      ]);
      if (how === 'killed') await stage.reviveRedis();
      await stage.worker();
      await follower.until(isRewind);
      behind.resume();
      await ended(stage, run_id);
      await expectGoodEnd('d', `Redis ${how} with the owner`);
      await expectAgreement(behind, client);
      await expectOneEndEach(behind, client);
      expect(behind.gaps).toBeGreaterThan(0);
    },
  );
});

describe('a log that is lost while its owner lives', () => {
  it.each(['emptied', 'killed'])('is said anew when Redis was %s, so that nobody misses anything', async (how) => {
    await stage.worker();
    const { run_id } = await client.say(session_id, script('l', 60, 50));
    const behind = follow();
    await behind.pauseAt((event) => event.type === 'TEXT_BLOCK_START');
    await follower.until(isDelta('tok3 '));
    if (how === 'emptied') await stage.redis((redis) => redis.flushall());
    else {
      await stage.killRedis();
      await stage.reviveRedis();
    }
    await follower.until(isRewind);
    behind.resume();
    expect(await ended(stage, run_id)).toMatchObject({ status: 'completed', attempt: 1 });
    await expectGoodEnd('l', `Redis ${how} beside a living owner`);
    await expectAgreement(behind, client);
    await expectOneEndEach(behind, client);
    expect(behind.gaps).toBeGreaterThan(0);
  });
});

describe('a log that is found lost when its owner has nothing more to say', () => {
  it('is begun anew by the next one when the reply was handed over', async () => {
    const first = await stage.worker();
    const { run_id } = await client.say(session_id, `${script('h', 2, 1000)}\n/sleep 3000\n/say at last`);
    await follower.until(isDelta('tok0 '));
    await stage.redis((redis) => redis.flushall());
    // The other token finds it lost; then the model is silent.
    await delay(1500);
    const [code] = await Promise.all([first.stop(), stage.worker()]);
    expect(code).toBe(0);
    await follower.until(isRewind);
    expect(await ended(stage, run_id)).toMatchObject({ status: 'completed', attempt: 1 });
    await expectGoodEnd('h', 'handed over after a loss');
  });

  it('has the end alone, behind a hole, when the reply is on record by then', async () => {
    const link = await openLink();
    await stage.worker(link.url);
    const { run_id } = await client.say(session_id, script('o', 20, 50));
    await follower.until(isDelta('tok3 '));
    link.mode = 'hold';
    await stage.redis((redis) => redis.flushall());
    await ended(stage, run_id);
    link.mode = 'pass';
    await expectGoodEnd('o', 'loss found after the end');
    const entries = await logEntries(stage, session_id);
    expect(entries.flatMap(({ events }) => events.map(({ event }) => event.type))).toEqual(['REPLY_END']);
  });
});
