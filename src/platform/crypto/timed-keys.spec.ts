import { expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { KeyProvider, KeyProviderUnavailable, type WrappedKey } from './key-provider.js';
import { KeyRing } from './key-ring.js';
import { SealError } from './seal.js';
import { TimedKeys } from './timed-keys.js';

/** Answers when the test says so. */
class HeldKeys extends KeyProvider {
  readonly unwrapped = Promise.withResolvers<Buffer>();
  override activeKeyId = () => new Promise<string>(() => undefined);
  override holds = () => new Promise<boolean>(() => undefined);
  override wrap = () => new Promise<WrappedKey>(() => undefined);
  override unwrap = () => this.unwrapped.promise;
}

const wrapped: WrappedKey = { kid: 'k', bytes: Buffer.alloc(0) };

it('a provider that never answers is unavailable, and an answer that comes too late is overwritten', async () => {
  const held = new HeldKeys();
  const keys = new TimedKeys(held, 5);
  for (const asked of [
    keys.activeKeyId(),
    keys.holds('k'),
    keys.wrap(randomBytes(32), 'c'),
    keys.unwrap(wrapped, 'c'),
  ]) {
    await expect(asked).rejects.toThrow(KeyProviderUnavailable);
  }
  const late = randomBytes(32);
  held.unwrapped.resolve(late);
  await held.unwrapped.promise;
  await new Promise(setImmediate);
  expect(late.equals(Buffer.alloc(32))).toBe(true);
});

it('answers and failures in time pass', async () => {
  const ring = new KeyRing([randomBytes(32)]);
  const keys = new TimedKeys(ring);
  const key = randomBytes(32);
  const kid = await ring.activeKeyId();
  expect([await keys.activeKeyId(), await keys.holds(kid), await keys.holds('other')]).toEqual([kid, true, false]);
  expect(await keys.unwrap(await keys.wrap(key, 'c'), 'c')).toEqual(key);
  await expect(keys.unwrap(wrapped, 'c')).rejects.toThrow(SealError);
});
