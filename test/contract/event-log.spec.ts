import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { EventLog } from '../../src/events/event-log.js';
import { follow, SlowReaderError } from '../../src/events/follow.js';
import { LocalEventLog } from '../../src/events/local-event-log.js';
import { RedisEventLog } from '../../src/events/redis-event-log.js';
import { Resources } from '../../src/platform/lifecycle/resources.js';
import { openBus } from '../../src/platform/redis/redis.module.js';
import { Fixture, LIMITS } from './event-log-support.js';

const resources = new Resources();
let redisLog: RedisEventLog;

beforeAll(async () => {
  const bus = await openBus(resources, process.env.AERIE_TEST_REDIS_URL ?? '');
  redisLog = new RedisEventLog(bus.commands, bus.pubsub, LIMITS);
});
afterAll(() => resources.stop());

/** Every adapter of the port passes this. */
describe.each<[string, () => EventLog]>([
  ['local', () => new LocalEventLog(LIMITS)],
  ['redis', () => redisLog],
])('EventLog: %s', (_name, open) => {
  const setUp = () => new Fixture(open());

  it('keeps batches in order and gives them back from any cursor, cut inside a batch too', async () => {
    const it = setUp();
    await it.append(1, 3);
    await it.append(4, 9);
    expect(await it.log.top(it.ref)).toBe(9);
    for (let after = 0; after <= 9; after++) {
      expect(await it.replayed(after)).toEqual(Array.from({ length: 9 - after }, (_, i) => after + 1 + i));
    }
  });

  it('reads in pages', async () => {
    const it = setUp();
    for (let seq = 1; seq <= 5; seq++) await it.append(seq, seq);
    const page = await it.log.read(it.ref, 1, 2);
    expect(page.map(({ prev, first, last }) => [prev, first, last])).toEqual([
      [1, 2, 2],
      [2, 3, 3],
    ]);
  });

  it('does not create a log unless told to', async () => {
    const it = setUp();
    expect(await it.append(1, 1, { create: false })).toBe('missing');
    expect(await it.log.top(it.ref)).toBeNull();
  });

  it('acknowledges a repeated append and does not double it', async () => {
    const it = setUp();
    const live = await it.listen();
    expect(await it.append(1, 2)).toBe('ok');
    expect(await it.append(1, 2)).toBe('ok');
    expect(await it.append(3, 3)).toBe('ok');
    await live.count(2);
    expect(live.lasts).toEqual([2, 3]);
    expect(await it.replayed(0)).toEqual([1, 2, 3]);
  });

  it('fences a holder once a later one has written', async () => {
    const it = setUp();
    await it.append(1, 2, { token: 1 });
    expect(await it.append(100, 101, { token: 2, prev: 2 })).toBe('ok');
    expect(await it.append(3, 4, { token: 1, prev: 2 })).toBe('fenced');
    expect(await it.append(101, 101, { token: 1, prev: 4 })).toBe('fenced');
    expect(await it.replayed(0)).toEqual([1, 2, 100, 101]);
  });

  it('trims old entries, never those the open reply needs', async () => {
    const it = setUp();
    for (let seq = 1; seq <= 40; seq++) await it.append(seq, seq, { keep_from: 5 });
    const kept = await it.replayed(0);
    expect(kept[0]).toBe(5);
    expect(kept.at(-1)).toBe(40);
    for (let seq = 41; seq <= 60; seq++) await it.append(seq, seq, { keep_from: seq });
    const batches = await it.log.read(it.ref, 0, 1000);
    expect(batches.length).toBeLessThanOrEqual(LIMITS.max_entries);
    expect(batches.at(-1)?.last).toBe(60);
  });

  it('tells many listeners of every batch after they subscribed, and none after they left', async () => {
    const it = setUp();
    await it.append(1, 1);
    const [one, two] = [await it.listen(), await it.listen()];
    await it.append(2, 3);
    await Promise.all([one.count(1), two.count(1)]);
    one.stop();
    await it.append(4, 4);
    await two.count(2);
    expect(one.lasts).toEqual([3]);
    expect(two.lasts).toEqual([3, 4]);
  });

  it('ends its followers when it is removed, and forgets', async () => {
    const it = setUp();
    await it.append(1, 1);
    const follower = it.follow(0);
    await follower.until(1);
    await it.log.remove(it.ref);
    await follower.done;
    expect(follower.ended).toBe(true);
    expect(await it.log.top(it.ref)).toBeNull();
  });

  it('says that it has lost what it had acknowledged, and takes nothing then', async () => {
    const it = setUp();
    await it.append(1, 3);
    const live = await it.listen();
    expect(await it.append(9, 9, { acknowledged: 8 })).toBe('lost');
    expect(await it.append(9, 9, { acknowledged: 8, create: false })).toBe('lost');
    expect(await it.append(4, 4, { acknowledged: 3 })).toBe('ok');
    await live.count(1);
    expect(live.lasts).toEqual([4]);
    expect(await it.replayed(0)).toEqual([1, 2, 3, 4]);
    live.stop();
  });

  it('begins no log in the midst of what was acknowledged', async () => {
    const it = setUp();
    expect(await it.append(9, 9, { acknowledged: 8, create: false })).toBe('missing');
    expect(await it.append(9, 9, { acknowledged: 8 })).toBe('lost');
    expect(await it.log.top(it.ref)).toBeNull();
  });

  it('acknowledges a repeated append also when its answer was lost, whatever was acknowledged since', async () => {
    const it = setUp();
    await it.append(1, 2);
    expect(await it.append(3, 4, { acknowledged: 2 })).toBe('ok');
    expect(await it.append(3, 4, { acknowledged: 2 })).toBe('ok');
    expect(await it.append(3, 4, { acknowledged: 2, token: 2 })).toBe('fenced');
    expect(await it.replayed(0)).toEqual([1, 2, 3, 4]);
  });

  it('takes nothing from a writer of what it lost once somebody has begun it anew', async () => {
    const it = setUp();
    await it.append(1, 4);
    await it.log.remove(it.ref);
    await it.append(2, 2);
    expect(await it.append(5, 5, { acknowledged: 4, create: false })).toBe('lost');
    expect(await it.replayed(0)).toEqual([2]);
  });

  it('keeps the logs of sessions and tenants apart', async () => {
    const it = setUp();
    await it.append(1, 1);
    expect(await it.log.read({ ...it.ref, tenant_id: 'other' }, 0, 10)).toEqual([]);
    expect(await it.log.read({ ...it.ref, session_id: randomUUID() }, 0, 10)).toEqual([]);
  });

  describe('followed', () => {
    it('replays and goes on live without loss or repetition, whenever it joins', async () => {
      const it = setUp();
      await it.append(1, 2);
      const followers = [];
      for (let seq = 3; seq <= 60; seq += 3) {
        followers.push(it.follow(0));
        await it.append(seq, seq + 2, { keep_from: 1 });
      }
      const all = Array.from({ length: 62 }, (_, i) => i + 1);
      for (const follower of followers) {
        await follower.until(62);
        expect(follower.seqs).toEqual(all);
        expect(follower.gaps).toEqual([]);
        follower.stop();
      }
    });

    it('says gap for what was trimmed before the cursor got there', async () => {
      const it = setUp();
      for (let seq = 1; seq <= 40; seq++) await it.append(seq, seq, { keep_from: seq });
      const first = (await it.replayed(0))[0] ?? 0;
      const follower = it.follow(2);
      await follower.until(40);
      expect(follower.gaps).toEqual([first - 1]);
      expect(follower.seqs[0]).toBe(first);
      follower.stop();
    });

    it('says gap when the log is gone and the session has moved on, and continues with what comes', async () => {
      const it = setUp();
      const follower = it.follow(3, { committed: 7 });
      await follower.gap();
      await it.append(9, 9, { prev: 7 });
      await follower.until(9);
      expect(follower.gaps).toEqual([7]);
      expect(follower.seqs).toEqual([9]);
      follower.stop();
    });

    it('says no gap for numbers that are committed a moment before they arrive', async () => {
      const it = setUp();
      await it.append(1, 4);
      const follower = it.follow(2, { committed: 5 });
      await follower.until(4);
      await it.append(5, 5);
      await follower.until(5);
      expect(follower.gaps).toEqual([]);
      follower.stop();
    });

    it('says gap when committed numbers never arrive', async () => {
      const it = setUp();
      await it.append(1, 4);
      const follower = it.follow(2, { committed: 5 });
      await follower.gap();
      expect(follower.gaps).toEqual([5]);
      follower.stop();
    });

    it('sends a cursor from beyond everything known back to what is known', async () => {
      const it = setUp();
      await it.append(1, 4);
      const follower = it.follow(1000, { committed: 4 });
      await follower.gap();
      await it.append(5, 5);
      await follower.until(5);
      expect(follower.gaps).toEqual([4]);
      follower.stop();
    });

    it('keeps a cursor that a dead attempt may have given, and never goes back behind it', async () => {
      const it = setUp();
      await it.append(1, 4);
      const follower = it.follow(9, { committed: 4, live: true });
      await it.append(2 ** 20, 2 ** 20, { prev: 4, token: 2 });
      await follower.until(2 ** 20);
      expect(follower.seqs).toEqual([2 ** 20]);
      expect(follower.gaps).toEqual([]);
      follower.stop();
    });

    it('cuts off a reader that does not read', async () => {
      const it = setUp();
      await it.append(1, 1);
      const source = follow(it.log, it.ref, {
        after: 0,
        committed: 1,
        live: true,
        signal: new AbortController().signal,
        max_buffer: 100,
      });
      expect((await source.next()).value).toMatchObject({ type: 'batch' });
      const live = await it.listen();
      for (let seq = 2; seq <= 40; seq++) await it.append(seq, seq);
      await live.count(39);
      const drain = async () => {
        for await (const item of source) if (item.type === 'end') return;
      };
      await expect(drain()).rejects.toThrow(SlowReaderError);
    });
  });
});
