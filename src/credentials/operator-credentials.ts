import { Injectable } from '@nestjs/common';
import type { z } from 'zod';
import { Config } from '../platform/config/config.js';
import { ConfigError } from '../platform/config/config-error.js';
import type { OperatorCredentialEntry } from '../platform/config/operator-credentials.js';
import { toFault } from '../platform/http/validation.pipe.js';
import { idOfName } from '../platform/ids.js';
import type { ConfiguredCredential } from './credential.store.js';
import { type CredentialType, CredentialTypeRegistry } from './types/credential-type.js';

interface Known {
  readonly record: ConfiguredCredential;
  readonly type: CredentialType;
  readonly data: z.infer<z.ZodObject>;
  readonly tenants: ReadonlySet<string> | null;
}

/**
 * Credentials from the operator's configuration. They are in no table: the id follows from the name, so sessions may refer to it over
 * restarts, and a new name makes another credential. For tenants that may not use one it does not exist.
 */
@Injectable()
export class OperatorCredentials {
  private readonly known = new Map<string, Known>();

  constructor(config: Config, types: CredentialTypeRegistry) {
    const entries = [...config.operator_credentials].sort((a, b) => (a.name < b.name ? -1 : 1));
    for (const entry of entries) {
      const known = check(entry, types);
      this.known.set(known.record.id, known);
    }
  }

  get(tenantId: string, id: string): ConfiguredCredential | null {
    const known = this.known.get(id.toLowerCase());
    return known && isFor(known, tenantId) ? known.record : null;
  }

  /** By name. */
  list(tenantId: string): ConfiguredCredential[] {
    return [...this.known.values()].filter((known) => isFor(known, tenantId)).map(({ record }) => record);
  }

  /** The whole data, secrets included. */
  open({ id }: ConfiguredCredential): { type: CredentialType; data: z.infer<z.ZodObject> } {
    const known = this.known.get(id);
    if (!known) throw new Error('a credential of another configuration');
    return { type: known.type, data: known.data };
  }
}

const isFor = ({ tenants }: Known, tenantId: string): boolean => tenants === null || tenants.has(tenantId);

function check(
  { name, type: typeName, tenants, fields, source }: OperatorCredentialEntry,
  types: CredentialTypeRegistry,
): Known {
  const entry = `${source}: ${JSON.stringify(name)}`;
  const type = types.get(typeName);
  if (!type) throw new ConfigError(`${entry}: type: this service knows no such credential type`);
  const parsed = type.schema.safeParse({ ...fields, type: typeName, name });
  if (!parsed.success) {
    const faults = parsed.error.issues
      .map(toFault)
      .map(({ path, message }) => (path ? `${path}: ${message}` : message));
    throw new ConfigError(faults.map((fault) => `${entry}: ${fault}`).join('\n'));
  }
  const record = { origin: 'operator', id: idOfName(name), tenant_id: null, type: typeName, name, version: 0 } as const;
  return { record, type, data: parsed.data, tenants: tenants && new Set(tenants) };
}
