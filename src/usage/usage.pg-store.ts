import { Injectable } from '@nestjs/common';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import { NO_USAGE } from '../core/messages/message.js';
import { Database, type Row } from '../platform/database/database.js';
import type { Dimension, UsageGroup, UsageSums } from './usage.schema.js';
import { ROLL_UP, usageSql } from './usage.sql.js';
import { type GroupPage, type UsageFilter, UsageStore } from './usage.store.js';

type SumsRow = UsageSums & Row & { key: string[] };

const NO_CREDENTIAL = '00000000-0000-0000-0000-000000000000';
const ROLL_UP_TIMEOUT_MS = 60_000;

@Injectable()
export class UsagePgStore extends UsageStore {
  constructor(private readonly database: Database) {
    super();
  }

  async groups(principal: Principal, filter: UsageFilter, { by, limit, after }: GroupPage): Promise<UsageGroup[]> {
    const values = [...valuesOf(principal, filter), limit, after?.map((value) => value ?? NO_CREDENTIAL)];
    const rows = await this.database.run<SumsRow>(...statement(by, filter), values);
    return rows.map(({ key, ...sums }) => {
      const named = by.map((dimension, n) => [
        dimension,
        dimension === 'credential' && key[n] === NO_CREDENTIAL ? null : key[n],
      ]);
      return { ...(Object.fromEntries(named) as Partial<UsageGroup>), ...sums };
    });
  }

  async total(principal: Principal, filter: UsageFilter): Promise<UsageSums> {
    const values = valuesOf(principal, filter);
    const [sums] = await this.database.run<UsageSums & Row>(...statement([], filter), values);
    return sums ?? { ...NO_USAGE, calls: 0, failed_calls: 0, unpriced_calls: 0, costs: [] };
  }

  async rollUp(_system: SystemPrincipal, limit: number): Promise<number> {
    const [row] = await this.database.run<{ rolled: number }>('usage-roll-up', ROLL_UP, [limit], ROLL_UP_TIMEOUT_MS);
    return row?.rolled ?? 0;
  }
}

function statement(by: readonly Dimension[], { user_id }: UsageFilter): [name: string, text: string] {
  const isOfUser = user_id !== null;
  return [`usage-${isOfUser ? 'user' : 'all'}-${by.join('-')}`, usageSql(by, isOfUser)];
}

function valuesOf({ tenant_id }: Principal, filter: UsageFilter): unknown[] {
  const { user_id, from, to, agent_id, session_id, credential_id, provider, model } = filter;
  return [
    tenant_id,
    user_id,
    from,
    to,
    agent_id ?? null,
    session_id ?? null,
    credential_id ?? null,
    provider ?? null,
    model ?? null,
  ];
}
