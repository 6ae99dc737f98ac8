import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { Envelope } from '../platform/crypto/envelope.js';
import type { ListQuery, Page } from '../platform/http/wire.js';

/** A credential as stored: `data` holds what may be shown, `secrets` the rest, sealed. */
export interface CredentialRecord {
  readonly id: string;
  readonly tenant_id: string;
  readonly user_id: string;
  readonly type: string;
  readonly name: string;
  readonly data: Record<string, unknown>;
  readonly secrets: Envelope | null;
  readonly created_at: Date;
  readonly updated_at: Date;
}
export type CredentialContent = Pick<CredentialRecord, 'type' | 'name' | 'data' | 'secrets'>;

/** Credentials of a caller. A foreign id reads as null. */
export abstract class CredentialStore {
  abstract create(principal: Principal, id: string, content: CredentialContent): Promise<void>;
  abstract get(principal: Principal, id: string): Promise<CredentialRecord | null>;
  abstract list(principal: Principal, query: ListQuery): Promise<Page<CredentialRecord>>;
  abstract names(principal: Principal, prefix: string): Promise<string[]>;
  /** Replaces the content under a row lock, so that two PATCHes do not lose each other's fields. */
  abstract update(
    principal: Principal,
    id: string,
    change: (record: CredentialRecord) => CredentialContent,
  ): Promise<CredentialRecord | null>;
  abstract delete(principal: Principal, id: string): Promise<boolean>;
  /** A master key that some secret is sealed with and that is not among `keyIds`; null when there is none. */
  abstract foreignKey(system: SystemPrincipal, keyIds: readonly string[]): Promise<string | null>;
}
