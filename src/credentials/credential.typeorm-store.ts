import { Injectable } from '@nestjs/common';
import { Like } from 'typeorm';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import { Database, type Row } from '../platform/database/database.js';
import { jsonColumns, pageOf } from '../platform/database/pages.js';
import type { ListQuery, Page } from '../platform/http/wire.js';
import { CredentialEntity } from './credential.entity.js';
import { CredentialStore, type CredentialContent, type CredentialRecord } from './credential.store.js';

@Injectable()
export class CredentialTypeormStore extends CredentialStore {
  constructor(private readonly database: Database) {
    super();
  }

  async create(principal: Principal, id: string, content: CredentialContent): Promise<void> {
    await this.rows.insert(jsonColumns({ ...own(principal), id, ...content }));
  }

  /** Asked before every run: a prepared statement instead of a query that is built anew. */
  async get({ tenant_id, user_id }: Principal, id: string): Promise<CredentialRecord | null> {
    const [record] = await this.database.run<CredentialRecord & Row>(
      'credential-get',
      `SELECT id, tenant_id, user_id, type, name, data, secrets, created_at, updated_at FROM credentials
       WHERE tenant_id = $1 AND user_id = $2 AND id = $3`,
      [tenant_id, user_id, id],
    );
    return record ?? null;
  }

  list(principal: Principal, query: ListQuery): Promise<Page<CredentialRecord>> {
    return pageOf(this.rows, own(principal), query);
  }

  async names(principal: Principal, prefix: string): Promise<string[]> {
    const pattern = `${prefix.replace(/[\\%_]/g, '\\$&')}%`;
    const rows = await this.rows.find({ select: { name: true }, where: { ...own(principal), name: Like(pattern) } });
    return rows.map((row) => row.name);
  }

  update(
    principal: Principal,
    id: string,
    change: (record: CredentialRecord) => CredentialContent,
  ): Promise<CredentialRecord | null> {
    return this.database.dataSource.transaction(async (manager) => {
      const where = { ...own(principal), id };
      const row = await manager.findOne(CredentialEntity, { where, lock: { mode: 'pessimistic_write' } });
      return row && manager.save(Object.assign(row, change(row), { updated_at: new Date() }));
    });
  }

  async delete(principal: Principal, id: string): Promise<boolean> {
    const result = await this.rows.delete({ ...own(principal), id });
    return (result.affected ?? 0) > 0;
  }

  async foreignKey(_system: SystemPrincipal, keyIds: readonly string[]): Promise<string | null> {
    const [row] = await this.database.run<{ kid: string }>(
      'credential-foreign-key',
      "SELECT secrets->>'kid' AS kid FROM credentials WHERE secrets->>'kid' <> ALL($1::text[]) LIMIT 1",
      [keyIds],
    );
    return row?.kid ?? null;
  }

  private get rows() {
    return this.database.dataSource.getRepository(CredentialEntity);
  }
}

const own = ({ tenant_id, user_id }: Principal) => ({ tenant_id, user_id });
