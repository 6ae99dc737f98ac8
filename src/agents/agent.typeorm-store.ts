import { Injectable } from '@nestjs/common';
import { IsNull } from 'typeorm';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import { Database, type Row } from '../platform/database/database.js';
import { jsonColumns, pageOf } from '../platform/database/pages.js';
import type { ListQuery, Page } from '../platform/http/wire.js';
import { AgentEntity } from './agent.entity.js';
import type { AgentData } from './agent.schema.js';
import { AgentStore, type AgentRecord } from './agent.store.js';

@Injectable()
export class AgentTypeormStore extends AgentStore {
  constructor(private readonly database: Database) {
    super();
  }

  async create(principal: Principal, id: string, data: AgentData): Promise<void> {
    const { tenant_id, user_id } = principal;
    await this.rows.insert(jsonColumns({ tenant_id, id, user_id, data }));
  }

  /** Asked before every run: a prepared statement instead of a query that is built anew. */
  async get({ tenant_id, user_id }: Principal, id: string): Promise<AgentRecord | null> {
    const [record] = await this.database.run<AgentRecord & Row>(
      'agent-get',
      `SELECT id, user_id, source, data, created_at, updated_at FROM agents
       WHERE tenant_id = $1 AND user_id = $2 AND id = $3 AND deleted_at IS NULL`,
      [tenant_id, user_id, id],
    );
    return record ?? null;
  }

  list(principal: Principal, query: ListQuery): Promise<Page<AgentRecord>> {
    return pageOf(this.rows, own(principal), query);
  }

  update(principal: Principal, id: string, change: (data: AgentData) => AgentData): Promise<AgentRecord | null> {
    return this.database.dataSource.transaction(async (manager) => {
      const row = await manager.findOne(AgentEntity, {
        where: { ...own(principal), id },
        lock: { mode: 'pessimistic_write' },
      });
      if (!row) return null;
      row.data = change(row.data);
      row.updated_at = new Date();
      return manager.save(row);
    });
  }

  /** A tombstone: sessions may still point here until they are purged. */
  async delete(principal: Principal, id: string): Promise<boolean> {
    const result = await this.rows.update({ ...own(principal), id }, { deleted_at: new Date() });
    return (result.affected ?? 0) > 0;
  }

  async purge(_system: SystemPrincipal, limit: number): Promise<number> {
    const agents = await this.database.run(
      'agent-purge',
      `DELETE FROM agents WHERE (tenant_id, id) IN (
         SELECT tenant_id, id FROM agents a WHERE deleted_at IS NOT NULL
           AND NOT EXISTS (SELECT 1 FROM sessions s WHERE s.tenant_id = a.tenant_id AND s.agent_id = a.id)
         LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id`,
      [limit],
    );
    return agents.length;
  }

  private get rows() {
    return this.database.dataSource.getRepository(AgentEntity);
  }
}

const own = ({ tenant_id, user_id }: Principal) => ({ tenant_id, user_id, deleted_at: IsNull() });
