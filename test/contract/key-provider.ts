import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import type { KeyProvider } from '../../src/platform/crypto/key-provider.js';
import { SealError } from '../../src/platform/crypto/seal.js';

/** One deployment before and after its first master key changed: `after` has the key of `before` too, but wraps with another. */
export interface KeyDeployments {
  readonly before: KeyProvider;
  readonly after: KeyProvider;
  /** Knows neither key. */
  readonly stranger: KeyProvider;
  close(): Promise<void>;
}

const CONTEXT = '["tenant key","acme","1"]';

/** Every KeyProvider passes this: call it at the top of a spec with a factory of your own. */
export function keyProviderContract(name: string, open: () => Promise<KeyDeployments>): void {
  describe(`KeyProvider: ${name}`, () => {
    let opened: KeyDeployments;
    let before: KeyProvider;
    let after: KeyProvider;
    beforeEach(async () => {
      opened = await open();
      ({ before, after } = opened);
    });
    afterEach(() => opened.close());

    it('unwraps what it wrapped, into a buffer of its own each time', async () => {
      const key = randomBytes(32);
      const wrapped = await before.wrap(Buffer.from(key), CONTEXT);
      expect(wrapped.bytes.includes(key)).toBe(false);
      const [one, two] = [await before.unwrap(wrapped, CONTEXT), await before.unwrap(wrapped, CONTEXT)];
      expect(one.equals(key)).toBe(true);
      one.fill(0);
      expect(two.equals(key)).toBe(true);
      expect((await before.unwrap(wrapped, CONTEXT)).equals(key)).toBe(true);
    });

    it('leaves the data key it is given as it is', async () => {
      const key = randomBytes(32);
      const given = Buffer.from(key);
      await before.wrap(given, CONTEXT);
      expect(given.equals(key)).toBe(true);
    });

    it('wraps with the active key, and says so', async () => {
      for (const provider of [before, after]) {
        const { kid } = await provider.wrap(randomBytes(32), CONTEXT);
        expect(kid).toBe(await provider.activeKeyId());
        expect(kid.length).toBeLessThanOrEqual(256);
        expect(await provider.holds(kid)).toBe(true);
      }
      expect(await before.activeKeyId()).not.toBe(await after.activeKeyId());
      expect(await before.activeKeyId()).toBe(await before.activeKeyId());
    });

    it('still unwraps with a key that is no longer the active one, and wraps it anew', async () => {
      const key = randomBytes(32);
      const wrapped = await before.wrap(Buffer.from(key), CONTEXT);
      const plain = await after.unwrap(wrapped, CONTEXT);
      expect(plain.equals(key)).toBe(true);
      const again = await after.wrap(plain, CONTEXT);
      expect(again.kid).not.toBe(wrapped.kid);
      expect((await after.unwrap(again, CONTEXT)).equals(key)).toBe(true);
    });

    it('holds no key that it was not given, and unwraps nothing of it', async () => {
      const wrapped = await before.wrap(randomBytes(32), CONTEXT);
      expect(await opened.stranger.holds(wrapped.kid)).toBe(false);
      expect(await before.holds('no such key')).toBe(false);
      expect(await before.holds('')).toBe(false);
      await expect(opened.stranger.unwrap(wrapped, CONTEXT)).rejects.toThrow(SealError);
      await expect(before.unwrap({ ...wrapped, kid: 'no such key' }, CONTEXT)).rejects.toThrow(SealError);
    });

    it('unwraps nothing for another context or under the name of another key', async () => {
      const wrapped = await before.wrap(randomBytes(32), CONTEXT);
      await expect(before.unwrap(wrapped, CONTEXT.replace('acme', 'evil'))).rejects.toThrow(SealError);
      await expect(before.unwrap(wrapped, '')).rejects.toThrow(SealError);
      const other = { ...wrapped, kid: await after.activeKeyId() };
      await expect(after.unwrap(other, CONTEXT)).rejects.toThrow(SealError);
    });

    it('unwraps nothing of which any byte was changed, cut off or added', async () => {
      const { kid, bytes } = await before.wrap(randomBytes(32), CONTEXT);
      for (let at = 0; at < bytes.length; at++) {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(at) ^ 1, at);
        await expect(before.unwrap({ kid, bytes: changed }, CONTEXT)).rejects.toThrow(SealError);
      }
      for (const wrong of [Buffer.alloc(0), bytes.subarray(0, 5), bytes.subarray(1), Buffer.concat([bytes, bytes])]) {
        await expect(before.unwrap({ kid, bytes: wrong }, CONTEXT)).rejects.toThrow(SealError);
      }
    });

    it('takes many at once', async () => {
      const keys = Array.from({ length: 50 }, () => randomBytes(32));
      const wrapped = await Promise.all(keys.map((key, n) => before.wrap(Buffer.from(key), `${CONTEXT}${n}`)));
      const plain = await Promise.all(wrapped.map((it, n) => before.unwrap(it, `${CONTEXT}${n}`)));
      expect(plain.map((it) => it.toString('hex'))).toEqual(keys.map((it) => it.toString('hex')));
    });
  });
}
