import { describe, expect, it } from '@jest/globals';
import { setImmediate as turn } from 'node:timers/promises';
import { GroupCommit, type GroupCommitOptions } from './group-commit.js';

interface Call {
  readonly items: readonly string[];
  readonly answer: (results?: readonly string[]) => Promise<void>;
  readonly fail: (error: Error) => Promise<void>;
}

class Refused extends Error {}

/** A database that answers when it is told to. Items are `<key>:<anything>`. */
function setUp(options: Partial<GroupCommitOptions<string, string>> = {}) {
  const calls: Call[] = [];
  const write = (items: readonly string[]) =>
    new Promise<readonly string[]>((resolve, reject) => {
      const answer = async (results: readonly string[] = items.map((item) => `done ${item}`)) => {
        resolve(results);
        await turn();
      };
      const fail = async (error: Error) => {
        reject(error);
        await turn();
      };
      calls.push({ items, answer, fail });
    });
  const key = (item: string) => item.split(':')[0] ?? '';
  const isAway = (error: unknown) => !(error instanceof Refused);
  const size = (item: string) => item.length;
  const group = new GroupCommit<string, string>({ write, key, size, isAway, late_ms: 0, ...options });
  const written = () => calls.map((call) => call.items);
  return { calls, group, written };
}

describe('GroupCommit', () => {
  it('writes in one statement what is submitted in one turn, and gives each its own result', async () => {
    const { calls, group, written } = setUp();
    const all = Promise.all(['a:1', 'b:1', 'c:1'].map((item) => group.submit(item)));
    await turn();
    expect(written()).toEqual([['a:1', 'b:1', 'c:1']]);
    await calls[0]?.answer();
    expect(await all).toEqual(['done a:1', 'done b:1', 'done c:1']);
  });

  it('gathers what comes while its statements are under way', async () => {
    const { calls, group, written } = setUp();
    const all: Promise<string>[] = [];
    for (const item of ['a:1', 'b:1', 'c:1', 'd:1', 'e:1']) {
      all.push(group.submit(item));
      await turn();
    }
    expect(written()).toEqual([['a:1'], ['b:1']]);
    await calls[1]?.answer();
    expect(written().slice(2)).toEqual([['c:1', 'd:1', 'e:1']]);
    await calls[0]?.answer();
    await calls[2]?.answer();
    expect(await Promise.all(all)).toHaveLength(5);
  });

  it('never has two items of one key under way, and keeps their order', async () => {
    const { calls, group, written } = setUp();
    const all = ['a:1', 'a:2', 'b:1', 'a:3'].map((item) => group.submit(item));
    await turn();
    expect(written()).toEqual([['a:1', 'b:1']]);
    const more = group.submit('c:1');
    await turn();
    expect(written()).toEqual([['a:1', 'b:1'], ['c:1']]);
    await calls[1]?.answer();
    expect(calls).toHaveLength(2);
    await calls[0]?.answer();
    expect(written()[2]).toEqual(['a:2']);
    await calls[2]?.answer();
    expect(written()[3]).toEqual(['a:3']);
    await calls[3]?.answer();
    expect(await Promise.all([...all, more])).toEqual(['done a:1', 'done a:2', 'done b:1', 'done a:3', 'done c:1']);
  });

  it('keeps to its bounds', async () => {
    const { calls, group, written } = setUp({ max_items: 2, in_flight: 1 });
    const all = Promise.all(['a:1', 'b:1', 'c:1', 'd:1', 'e:1'].map((item) => group.submit(item)));
    for (let n = 0; n < 3; n++) {
      await turn();
      expect(calls).toHaveLength(n + 1);
      await calls[n]?.answer();
    }
    expect(written()).toEqual([['a:1', 'b:1'], ['c:1', 'd:1'], ['e:1']]);
    expect(await all).toHaveLength(5);
  });

  it('takes a refused statement apart, so that only what was refused fails', async () => {
    const { calls, group, written } = setUp();
    const all = Promise.allSettled(['a:1', 'b:bad', 'c:1'].map((item) => group.submit(item)));
    await turn();
    await calls[0]?.fail(new Refused('all'));
    expect(written().slice(1)).toEqual([['a:1']]);
    await calls[1]?.answer();
    await calls[2]?.fail(new Refused('b'));
    await calls[3]?.answer();
    expect(written().slice(1)).toEqual([['a:1'], ['b:bad'], ['c:1']]);
    expect(await all).toEqual([
      { status: 'fulfilled', value: 'done a:1' },
      { status: 'rejected', reason: new Refused('b') },
      { status: 'fulfilled', value: 'done c:1' },
    ]);
  });

  it('keeps the keys of a statement it takes apart to itself until all of it is done', async () => {
    const { calls, group, written } = setUp();
    const all = Promise.all(['a:1', 'b:1', 'a:2'].map((item) => group.submit(item)));
    await turn();
    await calls[0]?.fail(new Refused('all'));
    await calls[1]?.answer();
    await turn();
    expect(written().slice(1)).toEqual([['a:1'], ['b:1']]);
    await calls[2]?.answer();
    expect(written()[3]).toEqual(['a:2']);
    await calls[3]?.answer();
    expect(await all).toEqual(['done a:1', 'done b:1', 'done a:2']);
  });

  it('fails all of a statement when the database is away, repeats nothing, and goes on with the rest', async () => {
    const { calls, group, written } = setUp({ in_flight: 1 });
    const lost = Promise.allSettled(['a:1', 'b:1'].map((item) => group.submit(item)));
    await turn();
    const later = group.submit('a:2');
    await calls[0]?.fail(new Error('away'));
    expect((await lost).map((it) => it.status)).toEqual(['rejected', 'rejected']);
    expect(written()).toEqual([['a:1', 'b:1'], ['a:2']]);
    await calls[1]?.answer();
    expect(await later).toBe('done a:2');
  });

  it('fails those for which there is no result', async () => {
    const { calls, group } = setUp();
    const all = Promise.allSettled(['a:1', 'b:1'].map((item) => group.submit(item)));
    await turn();
    await calls[0]?.answer(['done']);
    expect((await all).map((it) => it.status)).toEqual(['fulfilled', 'rejected']);
  });

  it('starts a second statement beside one only when that is late', async () => {
    const { calls, group, written } = setUp({ late_ms: 20 });
    const all = [group.submit('a')];
    await turn();
    all.push(group.submit('b'), group.submit('c'));
    await turn();
    expect(written()).toEqual([['a']]);
    while (calls.length < 2) await turn();
    expect(written()).toEqual([['a'], ['b', 'c']]);
    await calls[1]?.answer();
    await calls[0]?.answer();
    all.push(group.submit('d'));
    while (calls.length < 3) await turn();
    await calls[2]?.answer();
    expect(await Promise.all(all)).toHaveLength(4);
  });

  it('starts another statement when one would become too large; what is too large alone goes alone', async () => {
    const { calls, group, written } = setUp({
      size: (item) => (item.startsWith('big') ? 9_000_000 : 3_000_000),
      in_flight: 1,
    });
    const all = ['a', 'b', 'big', 'c', 'd'].map((item) => group.submit(item));
    while (calls.length < 3) {
      await turn();
      await calls.at(-1)?.answer();
    }
    await calls[2]?.answer();
    expect(written()).toEqual([['a', 'b'], ['big'], ['c', 'd']]);
    await Promise.all(all);
  });

  it('survives a write that throws at once', async () => {
    let broken = true;
    const write = (items: readonly string[]) => {
      if (broken) throw new Error('at once');
      return Promise.resolve(items);
    };
    const group = new GroupCommit<string, string>({ write, key: (it) => it, size: () => 1, isAway: () => true });
    await expect(group.submit('a')).rejects.toThrow('at once');
    broken = false;
    expect(await group.submit('a')).toBe('a');
  });

  it('answers everything of a long random load once, in the order of its keys', async () => {
    const order = new Map<string, number[]>();
    const under = new Set<string>();
    const write = async (items: readonly string[]) => {
      const keys = items.map((item) => item.split(':')[0] ?? '');
      for (const one of keys) {
        expect(under.has(one)).toBe(false);
        under.add(one);
      }
      await turn();
      for (const one of keys) under.delete(one);
      for (const item of items) {
        const [one = '', n] = item.split(':');
        order.set(one, [...(order.get(one) ?? []), Number(n)]);
      }
      return items;
    };
    const group = new GroupCommit<string, string>({
      write,
      key: (it) => it.split(':')[0] ?? '',
      size: () => 1,
      isAway: () => true,
      max_items: 7,
    });
    const all: Promise<string>[] = [];
    for (let n = 0; n < 500; n++) {
      all.push(group.submit(`${(n * 7919) % 13}:${n}`));
      if (n % 11 === 0) await turn();
    }
    expect(await Promise.all(all)).toHaveLength(500);
    expect([...order.values()].flat()).toHaveLength(500);
    for (const numbers of order.values()) expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
  });
});
