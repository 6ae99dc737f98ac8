import { randomBytes } from 'node:crypto';
import { isUuid, newId } from '../ids.js';
import type { KeyProvider } from './key-provider.js';
import { OpenedKeys } from './opened-keys.js';
import { KEY_BYTES, openBytes, sealBytes, SealError } from './seal.js';
import type { TenantKey, TenantKeyStore } from './tenant-key.store.js';

/** A secret as it stands in a row: sealed with the data key `key` of its tenant. `data` is iv + tag + the sealed secret, in base64. */
export interface Sealed {
  readonly v: 2;
  readonly key: string;
  readonly data: string;
}

/** As it stood before tenants had data keys: with a data key of its own, wrapped by the master key `kid`. */
interface SealedAlone {
  readonly v: 1;
  readonly kid: string;
  readonly key: string;
  readonly data: string;
}

/** Whose secret it is. All of it is authenticated: what is sealed for one place does not open at another. */
export interface Place {
  readonly tenant_id: string;
  readonly id: string;
  /** What else of the row must not change behind the secret's back, such as the address it is sent to. */
  readonly bound: unknown;
}

/** How long a key that was taken from its provider, or from its tenant, may still open in a running process. */
const OPENED = { max: 1000, ttl_ms: 300_000 };

/**
 * AES-256-GCM in two layers: a data key per tenant seals secrets, the master keys of the provider wrap data keys. Nothing is opened that
 * was changed in any byte, or moved to another row or tenant: `SealError`. While the provider is away, keys that were opened before
 * still serve; for the others there is `KeyProviderUnavailable`.
 */
export class Vault {
  private readonly keys: OpenedKeys;

  constructor(
    private readonly provider: KeyProvider,
    private readonly store: TenantKeyStore,
    limits: { max: number; ttl_ms: number } = OPENED,
  ) {
    this.keys = new OpenedKeys(limits);
  }

  async seal(secret: unknown, place: Place): Promise<Sealed> {
    const { id } = await this.activeKey(place.tenant_id);
    const plain = Buffer.from(JSON.stringify(secret));
    return this.withKey(place.tenant_id, id, (key) => {
      const data = sealBytes(key, plain, secretContext(place, id)).toString('base64');
      plain.fill(0);
      return { v: 2, key: id, data };
    });
  }

  /** `sealed` is what stands in the row, whatever that is by now. */
  async open(sealed: unknown, place: Place): Promise<unknown> {
    if (isSealed(sealed)) {
      const bytes = Buffer.from(sealed.data, 'base64');
      return this.withKey(place.tenant_id, sealed.key, (key) =>
        parse(openBytes(key, bytes, secretContext(place, sealed.key))),
      );
    }
    if (isSealedAlone(sealed)) return this.openAlone(sealed, `${place.tenant_id}|${place.id}`);
    throw new SealError('not a sealed secret');
  }

  /** Wraps a tenant's data key with the master key that wraps now. */
  async rewrap(key: TenantKey): Promise<boolean> {
    const plain = await this.provider.unwrap(key, keyContext(key));
    try {
      return await this.store.rewrap(key, await this.provider.wrap(plain, keyContext(key)));
    } finally {
      plain.fill(0);
    }
  }

  /** Overwrites what is open in memory. */
  close(): void {
    this.keys.clear();
  }

  private async openAlone({ kid, key, data }: SealedAlone, context: string): Promise<unknown> {
    const dataKey = await this.provider.unwrap({ kid, bytes: Buffer.from(key, 'base64') }, context);
    try {
      return parse(openBytes(dataKey, Buffer.from(data, 'base64'), `data|${context}`));
    } finally {
      dataKey.fill(0);
    }
  }

  /** The tenant's key, made when there is none. Of several processes that make one, all use what the first has put on record. */
  private async activeKey(tenantId: string): Promise<TenantKey> {
    const found = await this.store.active(tenantId);
    if (found) return found;
    const plain = randomBytes(KEY_BYTES);
    const name = { tenant_id: tenantId, id: newId() };
    try {
      await this.store.add({ ...name, ...(await this.provider.wrap(plain, keyContext(name))) });
    } finally {
      plain.fill(0);
    }
    const made = await this.store.active(tenantId);
    if (!made) throw new Error('the data key of a tenant is gone as soon as it was made');
    return made;
  }

  private withKey<T>(tenantId: string, id: string, work: (key: Buffer) => T): Promise<T> {
    const name = { tenant_id: tenantId, id };
    const open = async () => {
      const key = await this.store.get(tenantId, id);
      if (!key) throw new SealError('the tenant has no such data key');
      const plain = await this.provider.unwrap(key, keyContext(name));
      if (plain.length !== KEY_BYTES) throw new SealError('the provider gave something else than a data key');
      return plain;
    };
    return this.keys.use(keyContext(name), open, work);
  }
}

const keyContext = ({ tenant_id, id }: { tenant_id: string; id: string }): string =>
  JSON.stringify(['tenant key', tenant_id, id]);

const secretContext = ({ tenant_id, id, bound }: Place, key: string): string =>
  JSON.stringify(['secret', tenant_id, id, key, inOrder(bound)]);

/** The database gives the properties of an object back in an order of its own. */
function inOrder(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(inOrder);
  if (typeof value !== 'object' || value === null) return value;
  return Object.entries(value)
    .filter(([, item]) => item !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([name, item]) => [name, inOrder(item)]);
}

function parse(plain: Buffer): unknown {
  try {
    return JSON.parse(plain.toString());
  } finally {
    plain.fill(0);
  }
}

function isSealed(value: unknown): value is Sealed {
  const { v, key, data } = (value ?? {}) as Partial<Sealed>;
  return v === 2 && typeof key === 'string' && isUuid(key) && typeof data === 'string';
}

function isSealedAlone(value: unknown): value is SealedAlone {
  const { v, kid, key, data } = (value ?? {}) as Partial<SealedAlone>;
  return v === 1 && [kid, key, data].every((part) => typeof part === 'string');
}
