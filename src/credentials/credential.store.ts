import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { Sealed } from '../platform/crypto/vault.js';
import type { ListQuery, Page } from '../platform/http/wire.js';
import type { CredentialUsages } from './credential.schema.js';

/** A credential as stored: `data` holds what may be shown, `secrets` the rest, sealed (null: it has none). */
export interface StoredCredential {
  readonly origin: 'stored';
  readonly id: string;
  readonly tenant_id: string;
  readonly user_id: string;
  readonly type: string;
  readonly name: string;
  readonly data: Record<string, unknown>;
  readonly secrets: unknown;
  /** Counts the changes. */
  readonly version: number;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** A credential of the operator's configuration: as long as the process runs it does not change. Its data stays with `OperatorCredentials`. */
export interface ConfiguredCredential {
  readonly origin: 'operator';
  readonly id: string;
  readonly tenant_id: null;
  readonly type: string;
  readonly name: string;
  readonly version: 0;
}

export type CredentialRecord = StoredCredential | ConfiguredCredential;

export interface CredentialContent {
  readonly type: string;
  readonly name: string;
  readonly data: Record<string, unknown>;
  readonly secrets: Sealed | null;
}

/** A secret in the form that credentials had before tenants had data keys. */
export type SealedAlone = Pick<
  StoredCredential,
  'tenant_id' | 'id' | 'user_id' | 'type' | 'data' | 'secrets' | 'version'
>;
export type CredentialCursor = Pick<StoredCredential, 'tenant_id' | 'id'>;

/** Credentials of a caller. A foreign id reads as null. */
export abstract class CredentialStore {
  abstract create(principal: Principal, id: string, content: CredentialContent): Promise<void>;
  abstract get(principal: Principal, id: string): Promise<StoredCredential | null>;
  abstract list(principal: Principal, query: ListQuery): Promise<Page<StoredCredential>>;
  abstract names(principal: Principal, prefix: string): Promise<string[]>;
  /** Replaces the content if it still has the version that was read; null when it changed meanwhile, or is gone. */
  abstract replace(
    principal: Principal,
    id: string,
    version: number,
    content: CredentialContent,
  ): Promise<StoredCredential | null>;
  /** Deletes it; with `unused` only if nothing of the caller names it, nor is being written that does. False when there was nothing to delete. */
  abstract delete(principal: Principal, id: string, options: { unused: boolean }): Promise<boolean>;
  /** What of the caller names the credential, newest first, at most `limit` of each kind; and how many there are. */
  abstract usages(principal: Principal, id: string, limit: number): Promise<CredentialUsages>;

  /** Master keys of secrets in the old form, with their number. */
  abstract countSealedAlone(system: SystemPrincipal): Promise<{ kid: string; count: number }[]>;
  /** Credentials with a secret in the old form, in the order of their ids. */
  abstract sealedAlone(system: SystemPrincipal, after: CredentialCursor | null, limit: number): Promise<SealedAlone[]>;
  /** Replaces the form of a secret, not the secret; false when the row changed since it was read. */
  abstract reseal(system: SystemPrincipal, credential: SealedAlone, secrets: Sealed): Promise<boolean>;
}
