import { createHash } from 'node:crypto';
import { KeyProvider, type WrappedKey } from './key-provider.js';
import { openBytes, sealBytes, SealError } from './seal.js';

/** Names a key in rows without telling it: the first 16 hex digits of its SHA-256. */
export const keyIdOf = (key: Buffer): string => createHash('sha256').update(key).digest('hex').slice(0, 16);

/** Master keys in the memory of the process. The first one wraps, all of them unwrap. */
export class KeyRing extends KeyProvider {
  private readonly keys: ReadonlyMap<string, Buffer>;
  private readonly active: { readonly id: string; readonly key: Buffer };

  constructor(keys: readonly [Buffer, ...Buffer[]]) {
    super();
    this.active = { id: keyIdOf(keys[0]), key: keys[0] };
    this.keys = new Map(keys.map((key) => [keyIdOf(key), key]));
  }

  override async activeKeyId(): Promise<string> {
    return this.active.id;
  }

  override async holds(kid: string): Promise<boolean> {
    return this.keys.has(kid);
  }

  override async wrap(dataKey: Buffer, context: string): Promise<WrappedKey> {
    const { id, key } = this.active;
    return { kid: id, bytes: sealBytes(key, dataKey, contextOf(id, context)) };
  }

  override async unwrap({ kid, bytes }: WrappedKey, context: string): Promise<Buffer> {
    const key = this.keys.get(kid);
    if (!key) throw new SealError(`no key ${kid.slice(0, 64)} in the ring`);
    return openBytes(key, bytes, contextOf(kid, context));
  }
}

/** The name of the master key is part of it, so that a row cannot claim another. */
const contextOf = (kid: string, context: string): string => `key|${kid}|${context}`;
