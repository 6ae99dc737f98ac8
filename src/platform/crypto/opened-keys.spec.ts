import { describe, expect, it, jest } from '@jest/globals';
import { OpenedKeys } from './opened-keys.js';

const key = (byte: number) => Buffer.alloc(32, byte);
const hex = (buffer: Buffer) => buffer.toString('hex');

describe('OpenedKeys', () => {
  it('opens once for all who ask at the same time, and after them', async () => {
    const keys = new OpenedKeys({ max: 10, ttl_ms: 1000 });
    const open = jest.fn(() => Promise.resolve(key(7)));
    const asked = await Promise.all(Array.from({ length: 20 }, () => keys.use('a', open, hex)));
    expect(new Set([...asked, await keys.use('a', open, hex)])).toEqual(new Set([hex(key(7))]));
    expect(open).toHaveBeenCalledTimes(1);
  });

  it('keeps no more than so many, drops the one unused longest, and overwrites it', async () => {
    const keys = new OpenedKeys({ max: 2, ttl_ms: 1000 });
    const given = { a: key(1), b: key(2), c: key(3) };
    await keys.use('a', () => Promise.resolve(given.a), hex);
    await keys.use('b', () => Promise.resolve(given.b), hex);
    await keys.use('a', () => Promise.reject(new Error('it is here')), hex);
    await keys.use('c', () => Promise.resolve(given.c), hex);
    expect(keys.size).toBe(2);
    expect([hex(given.a), hex(given.b), hex(given.c)]).toEqual([hex(key(1)), hex(key(0)), hex(key(3))]);
  });

  it('never gives a key that was overwritten, however few it may keep', async () => {
    const keys = new OpenedKeys({ max: 1, ttl_ms: 1000 });
    const names = Array.from({ length: 200 }, (_, n) => (n % 7) + 1);
    const seen = await Promise.all(names.map((n) => keys.use(`k${n}`, () => Promise.resolve(key(n)), hex)));
    expect(seen).toEqual(names.map((n) => hex(key(n))));
  });

  it('opens again when its time is over', async () => {
    let now = 0;
    const keys = new OpenedKeys({ max: 10, ttl_ms: 100 }, () => now);
    const first = key(1);
    await keys.use('a', () => Promise.resolve(first), hex);
    now = 99;
    expect(await keys.use('a', () => Promise.resolve(key(2)), hex)).toBe(hex(key(1)));
    now = 100;
    expect(await keys.use('a', () => Promise.resolve(key(2)), hex)).toBe(hex(key(2)));
    expect(hex(first)).toBe(hex(key(0)));
  });

  it('tells everybody who asked that a key does not open, and asks again the next time', async () => {
    const keys = new OpenedKeys({ max: 10, ttl_ms: 1000 });
    const fail = () => Promise.reject(new Error('away'));
    const asked = await Promise.allSettled([keys.use('a', fail, hex), keys.use('a', fail, hex)]);
    expect(asked.map((it) => it.status)).toEqual(['rejected', 'rejected']);
    expect(await keys.use('a', () => Promise.resolve(key(1)), hex)).toBe(hex(key(1)));
  });

  it('overwrites everything at its end', async () => {
    const keys = new OpenedKeys({ max: 10, ttl_ms: 1000 });
    const given = [key(1), key(2)];
    for (const [n, it] of given.entries()) await keys.use(`k${n}`, () => Promise.resolve(it), hex);
    keys.clear();
    expect([keys.size, ...given.map(hex)]).toEqual([0, hex(key(0)), hex(key(0))]);
  });
});
