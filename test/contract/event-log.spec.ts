import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { EventLog, Signal } from '../../src/events/event-log.js';
import { follow, type Followed, SlowReaderError } from '../../src/events/follow.js';
import { eachFrame, frame } from '../../src/events/frames.js';
import { LocalEventLog } from '../../src/events/local-event-log.js';
import { RedisEventLog } from '../../src/events/redis-event-log.js';
import { Resources } from '../../src/platform/lifecycle/resources.js';
import { eventsKey } from '../../src/platform/redis/keys.js';
import { openBus } from '../../src/platform/redis/redis.module.js';
import { startRedis } from '../support/redis.js';

const LIMITS = { max_entries: 16, ttl_seconds: 60 };
const resources = new Resources();
let commands: Redis;
let redisLog: RedisEventLog;

beforeAll(async () => {
  const bus = await openBus(resources, process.env.AERIE_TEST_REDIS_URL ?? '');
  commands = bus.commands;
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
    const full = await startRedis();
    const own = new Resources();
    const bus = await openBus(own, full.url);
    const it = new Fixture(new RedisEventLog(bus.commands, bus.pubsub, LIMITS));
    await it.append(1, 1);
    await bus.commands.config('SET', 'maxmemory', '1');
    await expect(it.append(2, 2)).rejects.toThrow(/OOM/);
    await bus.commands.config('SET', 'maxmemory', '0');
    expect(await it.append(2, 2)).toBe('ok');
    expect(await it.replayed(0)).toEqual([1, 2]);
    await own.stop();
    await full.stop();
  });

  it('looks for what it missed when its connection comes back', async () => {
    const own = new Resources();
    const bus = await openBus(own, process.env.AERIE_TEST_REDIS_URL ?? '');
    const it = new Fixture(new RedisEventLog(bus.commands, bus.pubsub, LIMITS));
    await it.append(1, 1);
    const follower = it.follow(0);
    await follower.until(1);
    await killSubscribers(bus.commands);
    await it.append(2, 2);
    await follower.until(2);
    expect(follower.seqs).toEqual([1, 2]);
    follower.stop();
    await own.stop();
  });
});

async function killSubscribers(redis: Redis): Promise<void> {
  await redis.call('CLIENT', 'KILL', 'TYPE', 'pubsub');
}

class Fixture {
  readonly ref = { tenant_id: 'acme', session_id: randomUUID() };

  constructor(readonly log: EventLog) {}

  append(
    first: number,
    last: number,
    change: { token?: number; prev?: number; keep_from?: number; create?: boolean } = {},
  ) {
    let frames = '';
    for (let seq = first; seq <= last; seq++) frames += frame(seq, `{"n":${seq}}`);
    return this.log.append({
      ...this.ref,
      token: 1,
      prev: first - 1,
      first,
      last,
      frames,
      keep_from: last,
      create: true,
      ...change,
    });
  }

  async replayed(after: number): Promise<number[]> {
    const follower = this.follow(after);
    const top = (await this.log.top(this.ref)) ?? 0;
    if (top > after) await follower.until(top);
    follower.stop();
    await follower.done;
    return follower.seqs;
  }

  async listen() {
    const lasts: number[] = [];
    let wake = () => undefined as void;
    const stop = await this.log.subscribe(this.ref, (signal: Signal) => {
      if (signal.type === 'batch') lasts.push(signal.batch.last);
      wake();
    });
    const count = async (n: number) => {
      while (lasts.length < n) await new Promise<void>((resolve) => (wake = resolve));
    };
    return { lasts, count, stop };
  }

  follow(after: number, options: { committed?: number; live?: boolean } = {}): Follower {
    return new Follower(this, after, options);
  }
}

class Follower {
  readonly seqs: number[] = [];
  readonly gaps: number[] = [];
  ended = false;
  readonly done: Promise<void>;
  private readonly controller = new AbortController();
  private wake: () => void = () => undefined;

  constructor(
    fixture: Fixture,
    after: number,
    { committed = 0, live = false }: { committed?: number; live?: boolean },
  ) {
    const { signal } = this.controller;
    this.done = this.read(follow(fixture.log, fixture.ref, { after, committed, live, signal, max_buffer: 1e6 }));
  }

  async until(seq: number): Promise<void> {
    while (!this.seqs.includes(seq)) await this.next();
  }

  async gap(): Promise<void> {
    while (this.gaps.length === 0) await this.next();
  }

  stop(): void {
    this.controller.abort();
  }

  private next(): Promise<void> {
    return new Promise((resolve) => (this.wake = resolve));
  }

  private async read(source: AsyncIterable<Followed>): Promise<void> {
    for await (const item of source) {
      if (item.type === 'batch') for (const { seq } of eachFrame(item.batch.frames)) this.seqs.push(seq);
      if (item.type === 'gap') this.gaps.push(item.up_to);
      if (item.type === 'end') this.ended = true;
      this.wake();
    }
  }
}
