import { Injectable, type OnModuleInit } from '@nestjs/common';
import type { z } from 'zod';
import { type Principal, SystemPrincipal } from '../auth/principal.js';
import { ConfigError } from '../platform/config/config.js';
import { EnvelopeError, Vault } from '../platform/crypto/envelope.js';
import { Egress } from '../platform/egress/egress.js';
import { AerieError, invalid, notFound } from '../platform/http/errors.js';
import { toFault } from '../platform/http/validation.pipe.js';
import type { ListQuery, Page } from '../platform/http/wire.js';
import { isUuid, newId } from '../platform/ids.js';
import type { CreateCredential, CredentialView, PatchCredential } from './credential.schema.js';
import { CredentialStore, type CredentialContent, type CredentialRecord } from './credential.store.js';
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

@Injectable()
export class CredentialsService implements OnModuleInit {
  constructor(
    private readonly store: CredentialStore,
    private readonly types: CredentialTypeRegistry,
    private readonly vault: Vault,
    private readonly egress: Egress,
  ) {}

  /**
   * A process with another ring than its siblings would store secrets they cannot read, and fail on theirs: it does not start on a
   * database that holds secrets sealed with a key it lacks.
   */
  async onModuleInit(): Promise<void> {
    const foreign = await this.store.foreignKey(new SystemPrincipal('key check'), this.vault.keyIds);
    if (foreign === null) return;
    throw new ConfigError(
      `AERIE_ENCRYPTION_KEYS: the database has secrets sealed with key ${foreign}, which this process lacks`,
    );
  }

  schemas(): Record<string, unknown>[] {
    return this.types.list().map((type) => credentialJsonSchema(type));
  }

  async create(principal: Principal, { data }: CreateCredential): Promise<string> {
    const type = this.typeOf(data.type);
    const name = data.name || (await this.freeName(principal, type));
    const id = newId();
    await this.store.create(principal, id, this.seal(principal, id, type, { ...data, name }));
    return id;
  }

  async get(principal: Principal, id: string): Promise<CredentialView> {
    return toView(await this.record(principal, id));
  }

  async list(principal: Principal, query: ListQuery): Promise<Page<CredentialView>> {
    const page = await this.store.list(principal, query);
    return { ...page, rows: page.rows.map(toView) };
  }

  async update(principal: Principal, id: string, { data }: PatchCredential): Promise<CredentialView> {
    const updated = isUuid(id)
      ? await this.store.update(principal, id, (record) => {
          if (data.type !== undefined && data.type !== record.type) {
            throw invalid('data.type', `a credential keeps its type, ${record.type}`);
          }
          const { type, data: stored } = this.unseal(record);
          return this.seal(principal, id, type, { ...stored, ...data, name: data.name || record.name }, stored);
        })
      : null;
    if (!updated) throw notFound('credential', id);
    return toView(updated);
  }

  async delete(principal: Principal, id: string): Promise<void> {
    if (!isUuid(id) || !(await this.store.delete(principal, id))) throw notFound('credential', id);
  }

  /** The caller's credential as it is stored, its secrets sealed. */
  async record(principal: Principal, id: string): Promise<CredentialRecord> {
    const record = isUuid(id) ? await this.store.get(principal, id) : null;
    if (!record) throw notFound('credential', id);
    return record;
  }

  private typeOf(name: string): CredentialType {
    const type = this.types.get(name);
    if (!type)
      throw invalid(
        'data.type',
        `must be one of ${this.types
          .list()
          .map((it) => it.type)
          .join(', ')}`,
      );
    return type;
  }

  /**
   * Validates the whole data and parts it into what may be shown and what is sealed. A URL that may not be reached is refused unless it
   * stood there before: the rules may have changed since.
   */
  private seal(
    principal: Principal,
    id: string,
    type: CredentialType,
    data: Record<string, unknown>,
    before: Record<string, unknown> = {},
  ): CredentialContent {
    const parsed = type.schema.safeParse(data);
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
    return {
      type: type.type,
      name: String(parsed.data.name ?? data.name),
      data: Object.fromEntries(entries.filter(([key]) => !hidden.has(key))),
      secrets: Object.keys(secrets).length > 0 ? this.vault.seal(secrets, context(principal.tenant_id, id)) : null,
    };
  }

  /** For calling a model: the whole data, secrets included. */
  unseal(record: CredentialRecord): OpenCredential {
    const type = this.types.get(record.type);
    if (!type) throw new AerieError('credential_unreadable', `This service does not know ${record.type} credentials.`);
    try {
      const secrets = record.secrets ? this.vault.open(record.secrets, context(record.tenant_id, record.id)) : {};
      return { type, data: type.schema.parse({ ...record.data, ...(secrets as object) }) };
    } catch (error) {
      if (!(error instanceof EnvelopeError)) throw error;
      throw new AerieError('credential_unreadable', 'The secrets of this credential cannot be read.', undefined, {
        cause: error,
      });
    }
  }

  private async freeName(principal: Principal, type: CredentialType): Promise<string> {
    const taken = new Set(await this.store.names(principal, type.title));
    if (!taken.has(type.title)) return type.title;
    for (let n = 2; ; n++) {
      const name = `${type.title} (${n})`;
      if (!taken.has(name)) return name;
    }
  }
}

const context = (tenantId: string, id: string) => `${tenantId}|${id}`;

function toView(record: CredentialRecord): CredentialView {
  return {
    id: record.id,
    user_id: record.user_id,
    data: { ...record.data, type: record.type, name: record.name },
    editable: true,
    created_at: record.created_at.toISOString(),
    updated_at: record.updated_at.toISOString(),
  };
}
