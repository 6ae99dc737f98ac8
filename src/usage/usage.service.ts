import { Injectable } from '@nestjs/common';
import { z } from 'zod';
import type { Principal } from '../auth/principal.js';
import { isStorable } from '../core/messages/storable.js';
import { AerieError, invalid } from '../platform/http/errors.js';
import type { UsageQuery, UsageReport } from './usage.schema.js';
import { type GroupKey, UsageStore } from './usage.store.js';

const Cursor = z.array(z.string().refine(isStorable).nullable());

/** What model calls used and cost. */
@Injectable()
export class UsageService {
  constructor(private readonly store: UsageStore) {}

  async report(principal: Principal, query: UsageQuery): Promise<UsageReport> {
    const { group_by: by, scope, limit, cursor, user_id, ...rest } = query;
    if (scope === 'tenant' && !principal.may('usage:tenant')) {
      throw new AerieError('forbidden', 'To see the usage of all users you need the scope usage:tenant.', {
        required_scope: 'usage:tenant',
      });
    }
    if (scope === 'own' && user_id !== undefined && user_id !== principal.user_id) {
      throw invalid('user_id', 'with scope=own it is yours or absent');
    }
    const filter = { ...rest, user_id: scope === 'own' ? principal.user_id : (user_id ?? null) };
    const after = cursor === undefined ? null : decode(cursor, by.length);
    const [found, total] = await Promise.all([
      this.store.groups(principal, filter, { by, limit: limit + 1, after }),
      this.store.total(principal, filter),
    ]);
    const usage = found.slice(0, limit);
    const last = found.length > limit ? usage.at(-1) : undefined;
    return {
      usage,
      total,
      next_cursor: last ? encode(by.map((dimension) => last[dimension] ?? null)) : null,
      from: query.from.toISOString(),
      to: query.to.toISOString(),
      group_by: by,
    };
  }
}

const encode = (key: GroupKey): string => Buffer.from(JSON.stringify(key)).toString('base64url');

function decode(cursor: string, length: number): GroupKey {
  try {
    return Cursor.length(length).parse(JSON.parse(Buffer.from(cursor, 'base64url').toString()));
  } catch {
    throw invalid('cursor', 'is not the next_cursor of such a page');
  }
}
