import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { Dimension, UsageGroup, UsageQuery, UsageSums } from './usage.schema.js';

export interface UsageFilter extends Omit<UsageQuery, 'group_by' | 'cursor' | 'limit' | 'scope' | 'user_id'> {
  /** Null: all users of the tenant. */
  readonly user_id: string | null;
}

/** The dimensions of a group, in the order they were asked for. */
export type GroupKey = readonly (string | null)[];

export interface GroupPage {
  readonly by: readonly Dimension[];
  readonly limit: number;
  /** The last group of the page before. */
  readonly after: GroupKey | null;
}

/** What model calls used. Sums are exact at any moment, whether or not calls have been rolled up. */
export abstract class UsageStore {
  /** Groups in the order of their dimensions. */
  abstract groups(principal: Principal, filter: UsageFilter, page: GroupPage): Promise<UsageGroup[]>;
  abstract total(principal: Principal, filter: UsageFilter): Promise<UsageSums>;
  /** Adds up to `limit` calls to the sums of their days, each once, however many nodes do so at a time; returns how many. */
  abstract rollUp(system: SystemPrincipal, limit: number): Promise<number>;
}
