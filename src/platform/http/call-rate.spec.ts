import { expect, it } from '@jest/globals';
import { CallRate } from './call-rate.js';

it('lets so many calls of a caller through, and more as time goes by', () => {
  let now = 0;
  const rate = new CallRate({ calls: 3, per_ms: 3000, callers: 10 }, () => now);
  expect([1, 2, 3].map(() => rate.take('a'))).toEqual([0, 0, 0]);
  expect(rate.take('a')).toBe(1000);
  expect(rate.take('b')).toBe(0);
  now = 400;
  expect(rate.take('a')).toBeCloseTo(600);
  now = 1000;
  expect(rate.take('a')).toBe(0);
  now = 1_000_000;
  expect([1, 2, 3, 4].map(() => rate.take('a') > 0)).toEqual([false, false, false, true]);
});

it('forgets those unheard of longest', () => {
  const rate = new CallRate({ calls: 1, per_ms: 1000, callers: 2 }, () => 0);
  for (const caller of ['a', 'b', 'a', 'c']) rate.take(caller);
  expect(rate.take('b')).toBe(0);
  expect(rate.take('c')).toBe(1000);
});
