import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import type { Principal } from '../auth/principal.js';
import { KeyProviderUnavailable } from '../platform/crypto/key-provider.js';
import { SealError } from '../platform/crypto/seal.js';
import { type Place, Vault } from '../platform/crypto/vault.js';
import { Egress } from '../platform/egress/egress.js';
import { AerieError, invalid, notFound } from '../platform/http/errors.js';
import { toFault } from '../platform/http/validation.pipe.js';
import type { ListQuery, Page } from '../platform/http/wire.js';
import { isIdOfName, isUuid, newId } from '../platform/ids.js';
import type { CreateCredential, CredentialUsages, CredentialView, PatchCredential } from './credential.schema.js';
import {
  type ConfiguredCredential,
  type CredentialContent,
  type CredentialRecord,
  CredentialStore,
  type SealedAlone,
  type StoredCredential,
} from './credential.store.js';
import { OperatorCredentials } from './operator-credentials.js';
import {
  credentialJsonSchema,
  type CredentialType,
  CredentialTypeRegistry,
  secretFields,
  urlFields,
} from './types/credential-type.js';

/** An opened credential: its type and its whole data, secrets included. Never leaves the process. */
export interface OpenCredential {
  readonly type: CredentialType;
  readonly data: z.infer<z.ZodObject>;
}

/** Usages of each kind that are named; the totals count all. */
const MAX_NAMED = 100;
/** How often a change is tried again that another one overtook. */
const MAX_OVERTAKEN = 10;

@Injectable()
export class CredentialsService {
  constructor(
    private readonly store: CredentialStore,
    private readonly types: CredentialTypeRegistry,
    private readonly vault: Vault,
    private readonly operator: OperatorCredentials,
    private readonly egress: Egress,
  ) {}

  schemas(): Record<string, unknown>[] {
    return this.types.list().map((type) => credentialJsonSchema(type));
  }

  async create(principal: Principal, { data }: CreateCredential): Promise<string> {
    const type = this.typeOf(data.type);
    const name = data.name || (await this.freeName(principal, type));
    const id = newId();
    await this.store.create(principal, id, await this.seal(principal, id, type, { ...data, name }));
    return id;
  }

  async get(principal: Principal, id: string): Promise<CredentialView> {
    return toView(await this.record(principal, id));
  }

  /** The caller's own, newest first, and then the operator's by name. */
  async list(principal: Principal, query: ListQuery): Promise<Page<CredentialView>> {
    const configured = this.operator.list(principal.tenant_id);
    const isBehind = query.cursor !== undefined && isIdOfName(query.cursor);
    // Behind all of its own only their number is asked for.
    const own = await this.store.list(principal, isBehind ? { limit: 1 } : query);
    const total = own.total + configured.length;
    if (!isBehind && own.next_cursor !== null) return { ...own, total, rows: own.rows.map(toView) };
    const first = isBehind ? own.rows.slice(0, 0) : own.rows;
    const rest = isBehind ? after(configured, query.cursor) : configured;
    const rows = [...first, ...rest.slice(0, query.limit - first.length)];
    const isLast = rows.length === first.length + rest.length;
    return { rows: rows.map(toView), total, next_cursor: isLast ? null : (rows.at(-1)?.id ?? null) };
  }

  async update(principal: Principal, id: string, { data }: PatchCredential): Promise<CredentialView> {
    for (let round = 0; round < MAX_OVERTAKEN; round++) {
      const record = await this.editable(principal, id);
      if (data.type !== undefined && data.type !== record.type) {
        throw invalid('data.type', `a credential keeps its type, ${record.type}`);
      }
      const type = this.knownType(record.type);
      // Secrets that can be read no more may be given anew.
      const isAnew = secretFields(type.schema).every((name) => name in data);
      const before = isAnew ? record.data : await this.stored(record);
      const merged = { ...before, ...data, name: data.name || record.name };
      const content = await this.seal(principal, record.id, type, merged, before);
      const updated = await this.store.replace(principal, record.id, record.version, content);
      if (updated) return toView(updated);
    }
    throw new AerieError('conflict', 'The credential is being changed by others.');
  }

  /** With `force` also when something uses it, which then finds it missing. */
  async delete(principal: Principal, id: string, force: boolean): Promise<void> {
    const record = await this.editable(principal, id);
    if (await this.store.delete(principal, record.id, { unused: !force })) return;
    await this.editable(principal, id);
    throw new AerieError(
      'credential_in_use',
      'Agents or sessions use this credential (force=true deletes it all the same).',
      { ...(await this.store.usages(principal, record.id, MAX_NAMED)) },
    );
  }

  async usages(principal: Principal, id: string): Promise<CredentialUsages> {
    const record = await this.record(principal, id);
    return this.store.usages(principal, record.id, MAX_NAMED);
  }

  /** A credential that the caller may use, its own or the operator's, without its secrets. */
  async record(principal: Principal, id: string): Promise<CredentialRecord> {
    const record =
      this.operator.get(principal.tenant_id, id) ?? (isUuid(id) ? await this.store.get(principal, id) : null);
    if (!record) throw notFound('credential', id);
    return record;
  }

  /** For calling a model: the whole data, secrets included. */
  async unseal(record: CredentialRecord): Promise<OpenCredential> {
    if (record.origin === 'operator') return this.operator.open(record);
    const type = this.knownType(record.type);
    const parsed = type.schema.safeParse(await this.stored(record));
    if (parsed.success) return { type, data: parsed.data };
    throw new AerieError('credential_unreadable', 'This credential is not what its type asks for any more: change it.');
  }

  private async editable(principal: Principal, id: string): Promise<StoredCredential> {
    const record = await this.record(principal, id);
    if (record.origin === 'stored') return record;
    throw new AerieError('credential_not_editable', 'This credential belongs to the configuration of the service.');
  }

  private typeOf(name: string): CredentialType {
    const type = this.types.get(name);
    if (type) return type;
    const known = this.types.list().map((it) => it.type);
    throw invalid('data.type', `must be one of ${known.join(', ')}`);
  }

  private knownType(name: string): CredentialType {
    const type = this.types.get(name);
    if (!type) throw new AerieError('credential_unreadable', `This service does not know ${name} credentials.`);
    return type;
  }

  /**
   * Validates the whole data and parts it into what may be shown and what is sealed. A URL that may not be reached is refused unless it
   * stood there before: the rules may have changed since.
   */
  private async seal(
    principal: Principal,
    id: string,
    type: CredentialType,
    given: Record<string, unknown>,
    before: Record<string, unknown> = {},
  ): Promise<CredentialContent> {
    const parsed = type.schema.safeParse(given);
    if (!parsed.success) {
      const faults = parsed.error.issues.map((issue) => toFault({ ...issue, path: ['data', ...issue.path] }));
      throw new AerieError('validation_failed', 'The credential is not valid.', faults);
    }
    for (const field of urlFields(type.schema)) {
      const url: unknown = parsed.data[field];
      const refused = typeof url === 'string' && url !== before[field] ? this.egress.refusal(url) : null;
      if (refused) throw invalid(`data.${field}`, refused.message);
    }
    const hidden = new Set(secretFields(type.schema));
    const entries = Object.entries(parsed.data);
    const secrets = Object.fromEntries(entries.filter(([key]) => hidden.has(key)));
    const data = Object.fromEntries(entries.filter(([key]) => !hidden.has(key)));
    const name = String(parsed.data.name ?? given.name);
    const { tenant_id, user_id } = principal;
    const place = placeOf({ tenant_id, user_id, id, type: type.type, data });
    const sealed = Object.keys(secrets).length > 0 ? await typed(this.vault.seal(secrets, place)) : null;
    return { type: type.type, name, data, secrets: sealed };
  }

  /** What was stored, secrets included, as it is. */
  private async stored(record: StoredCredential): Promise<Record<string, unknown>> {
    if (record.secrets === null) return record.data;
    return { ...record.data, ...((await typed(this.vault.open(record.secrets, placeOf(record)))) as object) };
  }

  private async freeName(principal: Principal, type: CredentialType): Promise<string> {
    const configured = this.operator.list(principal.tenant_id).map(({ name }) => name);
    const taken = new Set([...configured, ...(await this.store.names(principal, type.title))]);
    if (!taken.has(type.title)) return type.title;
    for (let n = 2; ; n++) {
      const name = `${type.title} (${n})`;
      if (!taken.has(name)) return name;
    }
  }
}

/** The name may change without the secrets; where they are sent to may not. */
export function placeOf(row: Pick<SealedAlone, 'tenant_id' | 'user_id' | 'id' | 'type' | 'data'>): Place {
  const { tenant_id, id, user_id, type } = row;
  return { tenant_id, id, bound: { user_id, type, data: { ...row.data, name: undefined } } };
}

/** What is wrong with a secret stands in the log, as the cause; the client learns that it cannot be read. */
async function typed<T>(work: Promise<T>): Promise<T> {
  try {
    return await work;
  } catch (cause) {
    if (cause instanceof SealError) {
      throw new AerieError('credential_unreadable', 'The secrets of this credential cannot be read.', undefined, {
        cause,
      });
    }
    if (cause instanceof KeyProviderUnavailable) {
      throw new AerieError('unavailable', 'The keys of stored secrets cannot be reached.', undefined, {
        cause,
        headers: { 'retry-after': '5' },
      });
    }
    throw cause;
  }
}

const after = (configured: ConfiguredCredential[], cursor: string | undefined): ConfiguredCredential[] => {
  const at = configured.findIndex(({ id }) => id === cursor);
  return at < 0 ? [] : configured.slice(at + 1);
};

function toView(record: CredentialRecord): CredentialView {
  const { id, type, name } = record;
  if (record.origin === 'operator') {
    return { id, user_id: null, data: { type, name }, editable: false, created_at: null, updated_at: null };
  }
  return {
    id,
    user_id: record.user_id,
    data: { ...record.data, type, name },
    editable: true,
    created_at: record.created_at.toISOString(),
    updated_at: record.updated_at.toISOString(),
  };
}
