import { Injectable } from '@nestjs/common';
import { Like } from 'typeorm';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { Sealed } from '../platform/crypto/vault.js';
import { Database, type Row } from '../platform/database/database.js';
import { jsonColumns, pageOf } from '../platform/database/pages.js';
import type { ListQuery, Page } from '../platform/http/wire.js';
import { CredentialEntity } from './credential.entity.js';
import type { CredentialUsages } from './credential.schema.js';
import {
  type CredentialContent,
  type CredentialCursor,
  CredentialStore,
  type SealedAlone,
  type StoredCredential,
} from './credential.store.js';
import { DELETE, DELETE_UNUSED, LOCK, USAGES, type UsageRow } from './usages.sql.js';

const COLUMNS = `'stored' AS origin, id, tenant_id, user_id, type, name, data, secrets, version, created_at, updated_at`;

@Injectable()
export class CredentialTypeormStore extends CredentialStore {
  constructor(private readonly database: Database) {
    super();
  }

  async create(principal: Principal, id: string, content: CredentialContent): Promise<void> {
    await this.rows.insert(jsonColumns<CredentialEntity>({ ...own(principal), id, ...content }));
  }

  /** Asked before every run: a prepared statement instead of a query that is built anew. */
  async get({ tenant_id, user_id }: Principal, id: string): Promise<StoredCredential | null> {
    const [record] = await this.database.run<StoredCredential & Row>(
      'credential-get',
      `SELECT ${COLUMNS} FROM credentials WHERE tenant_id = $1 AND user_id = $2 AND id = $3`,
      [tenant_id, user_id, id],
    );
    return record ?? null;
  }

  async list(principal: Principal, query: ListQuery): Promise<Page<StoredCredential>> {
    const page = await pageOf(this.rows, own(principal), query);
    return { ...page, rows: page.rows.map((row) => ({ origin: 'stored', ...row })) };
  }

  async names(principal: Principal, prefix: string): Promise<string[]> {
    const pattern = `${prefix.replace(/[\\%_]/g, '\\$&')}%`;
    const rows = await this.rows.find({ select: { name: true }, where: { ...own(principal), name: Like(pattern) } });
    return rows.map((row) => row.name);
  }

  async replace(
    { tenant_id, user_id }: Principal,
    id: string,
    version: number,
    { type, name, data, secrets }: CredentialContent,
  ): Promise<StoredCredential | null> {
    const [record] = await this.database.run<StoredCredential & Row>(
      'credential-replace',
      `UPDATE credentials SET type = $5, name = $6, data = $7, secrets = $8, version = version + 1, updated_at = now()
       WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND version = $4 RETURNING ${COLUMNS}`,
      [tenant_id, user_id, id, version, type, name, data, secrets],
    );
    return record ?? null;
  }

  async delete({ tenant_id, user_id }: Principal, id: string, { unused }: { unused: boolean }): Promise<boolean> {
    const values = [tenant_id, user_id, id];
    const rows = await this.database.transaction(async (sql) => {
      await sql.run('credential-lock', LOCK, values);
      return unused
        ? sql.run('credential-delete-unused', DELETE_UNUSED, values)
        : sql.run('credential-delete', DELETE, values);
    });
    return rows.length > 0;
  }

  async usages({ tenant_id, user_id }: Principal, id: string, limit: number): Promise<CredentialUsages> {
    const [row] = await this.database.run<UsageRow>('credential-usages', USAGES, [tenant_id, user_id, id, limit]);
    if (!row) throw new Error('a SELECT without FROM has a row');
    const { agents, sessions, agents_total, sessions_total } = row;
    const totals = { agents: agents_total, sessions: sessions_total, schedules: 0 };
    return { agents, sessions, schedules: [], totals };
  }

  countSealedAlone(_system: SystemPrincipal): Promise<{ kid: string; count: number }[]> {
    return this.database.run<{ kid: string; count: number }>(
      'credential-count-sealed-alone',
      `SELECT coalesce(secrets->>'kid', '') AS kid, count(*) AS count FROM credentials WHERE secrets->>'v' = '1' GROUP BY 1 ORDER BY 1`,
      [],
    );
  }

  sealedAlone(_system: SystemPrincipal, after: CredentialCursor | null, limit: number): Promise<SealedAlone[]> {
    return this.database.run<SealedAlone & Row>(
      'credentials-sealed-alone',
      `SELECT tenant_id, id, user_id, type, data, secrets, version FROM credentials
       WHERE secrets->>'v' = '1' AND ($1::text IS NULL OR (tenant_id, id) > ($1, $2::uuid)) ORDER BY tenant_id, id LIMIT $3`,
      [after?.tenant_id ?? null, after?.id ?? null, limit],
    );
  }

  async reseal(_system: SystemPrincipal, credential: SealedAlone, secrets: Sealed): Promise<boolean> {
    const { tenant_id, id, version } = credential;
    const rows = await this.database.run(
      'credential-reseal',
      `UPDATE credentials SET secrets = $5 WHERE tenant_id = $1 AND id = $2 AND version = $3 AND secrets = $4 RETURNING id`,
      [tenant_id, id, version, credential.secrets, secrets],
    );
    return rows.length > 0;
  }

  private get rows() {
    return this.database.dataSource.getRepository(CredentialEntity);
  }
}

const own = ({ tenant_id, user_id }: Principal) => ({ tenant_id, user_id });
