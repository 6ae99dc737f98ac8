import type { WrappedKey } from './key-provider.js';

/** A data key of a tenant, wrapped. */
export interface TenantKey extends WrappedKey {
  readonly tenant_id: string;
  readonly id: string;
}

export type TenantKeyCursor = Pick<TenantKey, 'tenant_id' | 'id'>;

/**
 * The data keys of tenants. A tenant may have several; the active one seals. It lies below the features and knows no principal: only the
 * vault asks, for the tenant of the row it is given.
 */
export abstract class TenantKeyStore {
  abstract get(tenantId: string, id: string): Promise<TenantKey | null>;
  abstract active(tenantId: string): Promise<TenantKey | null>;
  /** Makes a key the tenant's active one unless it has one; of several processes that try, one succeeds. */
  abstract add(key: TenantKey): Promise<void>;
  /** Keys that another master key than `kid` wraps, in the order of their ids, after a cursor. */
  abstract wrappedOtherwise(kid: string, after: TenantKeyCursor | null, limit: number): Promise<TenantKey[]>;
  /** Replaces the wrapping if it still is what was read; false when somebody else was faster. */
  abstract rewrap(key: TenantKey, wrapped: WrappedKey): Promise<boolean>;
  /** How many keys each master key wraps. */
  abstract countByMaster(): Promise<{ kid: string; count: number }[]>;
}
