import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { ListQuery, Page } from '../platform/http/wire.js';
import type { AgentData } from './agent.schema.js';

export interface AgentRecord {
  readonly id: string;
  readonly user_id: string;
  readonly source: 'user' | 'team';
  readonly data: AgentData;
  readonly created_at: Date;
  readonly updated_at: Date;
}

/** Agents of a caller. A foreign or deleted id reads as null. */
export abstract class AgentStore {
  abstract create(principal: Principal, id: string, data: AgentData): Promise<void>;
  abstract get(principal: Principal, id: string): Promise<AgentRecord | null>;
  abstract list(principal: Principal, query: ListQuery): Promise<Page<AgentRecord>>;
  /** Applies `change` to the stored data under a row lock, so that two PATCHes do not lose each other's fields. */
  abstract update(
    principal: Principal,
    id: string,
    change: (data: AgentData) => AgentData,
  ): Promise<AgentRecord | null>;
  /** True when there was one to delete. */
  abstract delete(principal: Principal, id: string): Promise<boolean>;
  /** Removes up to `limit` tombstoned agents that no session points to any more; returns how many went. */
  abstract purge(system: SystemPrincipal, limit: number): Promise<number>;
}
