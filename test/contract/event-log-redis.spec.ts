import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { Redis } from 'ioredis';
import { frame } from '../../src/events/frames.js';
import { RedisEventLog } from '../../src/events/redis-event-log.js';
import { Resources } from '../../src/platform/lifecycle/resources.js';
import { eventsKey } from '../../src/platform/redis/keys.js';
import { openBus } from '../../src/platform/redis/redis.module.js';
import { eventually } from '../support/eventually.js';
import { type RedisServer, startRedis } from '../support/redis.js';
import { Fixture, LIMITS } from './event-log-support.js';

const resources = new Resources();
let commands: Redis;
let redisLog: RedisEventLog;

beforeAll(async () => {
  const bus = await openBus(resources, process.env.AERIE_TEST_REDIS_URL ?? '');
  commands = bus.commands;
  redisLog = new RedisEventLog(bus.commands, bus.pubsub, LIMITS);
});
afterAll(() => resources.stop());

/** What a test opened ends with it, whatever became of it. */
const opened: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of opened.splice(0).reverse()) await close();
});

async function startServer(options: { port?: number } = {}): Promise<RedisServer> {
  const server = await startRedis(options);
  opened.push(() => server.stop());
  return server;
}

async function openLog(url: string) {
  const own = new Resources();
  opened.push(() => own.stop());
  const bus = await openBus(own, url);
  return { bus, it: new Fixture(new RedisEventLog(bus.commands, bus.pubsub, LIMITS)) };
}

describe('RedisEventLog', () => {
  it('fills the hole of a batch that was written but not heard', async () => {
    const it = new Fixture(redisLog);
    await it.append(1, 1);
    const follower = it.follow(0);
    await follower.until(1);
    await commands.xadd(eventsKey(it.ref), '3-0', 't', '1', 'p', '1', 'f', '2', 'd', frame(2, '{}') + frame(3, '{}'));
    await it.append(4, 4);
    await follower.until(4);
    expect(follower.seqs).toEqual([1, 2, 3, 4]);
    follower.stop();
  });

  it('says gap once Redis has lost the log, and follows the new one', async () => {
    const it = new Fixture(redisLog);
    await it.append(1, 3);
    const follower = it.follow(0);
    await follower.until(3);
    await commands.del(eventsKey(it.ref));
    expect(await it.append(8, 8, { create: false, prev: 7 })).toBe('missing');
    await it.append(8, 8, { prev: 7 });
    await follower.until(8);
    expect(follower.gaps).toEqual([7]);
    follower.stop();
  });

  it('takes a refusal of Redis for an error to try again, not for a later holder', async () => {
    const full = await startServer();
    const { bus, it } = await openLog(full.url);
    await it.append(1, 1);
    await bus.commands.config('SET', 'maxmemory', '1');
    await expect(it.append(2, 2)).rejects.toThrow(/OOM/);
    await bus.commands.config('SET', 'maxmemory', '0');
    expect(await it.append(2, 2)).toBe('ok');
    expect(await it.replayed(0)).toEqual([1, 2]);
  });

  it('looks for what it missed when its connection comes back', async () => {
    const { bus, it } = await openLog(process.env.AERIE_TEST_REDIS_URL ?? '');
    await it.append(1, 1);
    const follower = it.follow(0);
    await follower.until(1);
    await killSubscribers(bus.commands);
    await it.append(2, 2);
    await follower.until(2);
    expect(follower.seqs).toEqual([1, 2]);
    follower.stop();
  });

  it('finds that another server answers, also for what the client sends again by itself', async () => {
    const first = await startServer();
    const { it } = await openLog(first.url);
    await it.append(1, 3);
    process.kill(first.pid, 'SIGSTOP');
    const waiting = it.append(4, 4, { acknowledged: 3, create: false });
    await first.kill();
    await startServer({ port: first.port });
    const other = await openLog(first.url);
    // Whichever comes first: there is no log yet, or somebody has begun one without what came before.
    await other.it.log.append({ ...ending(2), ...it.ref });
    expect(['missing', 'lost']).toContain(await waiting);
    expect(await it.append(4, 4, { acknowledged: 3, create: false })).toBe('lost');
    expect(await it.replayed(0)).toEqual([2]);
  });

  it('passes on nothing that was heard behind a hole and is not in the log any more', async () => {
    const it = new Fixture(redisLog);
    await it.append(1, 1);
    const follower = it.follow(0);
    await follower.until(1);
    await commands.publish(eventsKey(it.ref), `5 6 6\n${frame(6, '{}')}`);
    await follower.gap();
    await it.append(9, 9, { prev: 8 });
    await follower.until(9);
    expect([follower.seqs, follower.gaps]).toEqual([
      [1, 9],
      [5, 8],
    ]);
    follower.stop();
  });

  it('fails in bounded time while Redis is away, and works when it is back', async () => {
    const first = await startServer();
    const { it } = await openLog(first.url);
    await it.append(1, 1);
    await first.kill();
    const asked = performance.now();
    const settled = await Promise.allSettled([
      it.log.top(it.ref),
      it.log.read(it.ref, 0, 10),
      it.log.subscribe(it.ref, () => undefined),
      it.append(2, 2),
    ]);
    expect(settled.map((one) => one.status)).toEqual(['rejected', 'rejected', 'rejected', 'rejected']);
    expect(performance.now() - asked).toBeLessThan(5000);
    await startServer({ port: first.port });
    const live = await eventually(() => it.listen().catch(() => undefined));
    // What was sent while Redis was away may come late: it is acknowledged, not doubled.
    expect(await it.append(2, 2)).toBe('ok');
    expect(await it.append(3, 3)).toBe('ok');
    await eventually(() => (live.lasts.includes(3) ? true : undefined));
    expect(await it.replayed(0)).toEqual([2, 3]);
    live.stop();
  });
});

const ending = (seq: number) => ({
  ...{ token: 1, prev: seq - 1, first: seq, last: seq, frames: frame(seq, '{}') },
  ...{ keep_from: seq, acknowledged: 0, create: true },
});

async function killSubscribers(redis: Redis): Promise<void> {
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
}
