import {
  LessThan,
  type QueryDeepPartialEntity,
  type FindOptionsWhere,
  type ObjectLiteral,
  type Repository,
} from 'typeorm';
import type { ListQuery, Page } from '../http/wire.js';

/** One page of an owner's rows, newest first. Ids are UUIDv7, so their order is the order of creation and the last one is the cursor. */
export async function pageOf<E extends ObjectLiteral & { id: string }>(
  rows: Repository<E>,
  where: FindOptionsWhere<E>,
  query: ListQuery,
): Promise<Page<E>> {
  const [found, total] = await Promise.all([
    rows.find({
      where: query.cursor ? { ...where, id: LessThan(query.cursor) } : where,
      order: { id: 'DESC' } as never,
      take: query.limit + 1,
    }),
    rows.count({ where }),
  ]);
  const page = found.slice(0, query.limit);
  return { rows: page, total, next_cursor: found.length > query.limit ? (page.at(-1)?.id ?? null) : null };
}

/** TypeORM's partial types look into JSON columns as if they were relations; the value is written as it is. */
export const jsonColumns = <E>(values: Partial<E>): QueryDeepPartialEntity<E> => values as QueryDeepPartialEntity<E>;
