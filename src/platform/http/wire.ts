import { z } from 'zod';
import { ERROR_STATUS, type ErrorCode } from './errors.js';

/** Page of a list: `cursor` is the `next_cursor` of the page before. */
export const ListQuery = z.object({
  limit: z.coerce.number().int().min(1).max(200).default(50).describe('Rows per page'),
  cursor: z.uuid().optional().describe('`next_cursor` of the previous page'),
});
export type ListQuery = z.infer<typeof ListQuery>;

export interface Page<T> {
  rows: T[];
  total: number;
  next_cursor: string | null;
}

/** `{<plural>: […], total, next_cursor}`: the shape of every list. */
export function listOf<K extends string, T extends z.ZodType>(plural: K, item: T) {
  return z.object({
    ...({ [plural]: z.array(item) } as { [key in K]: z.ZodArray<T> }),
    total: z.int().nonnegative(),
    next_cursor: z.uuid().nullable(),
  });
}

export const Problem = z
  .object({
    error: z.object({
      code: z.enum(Object.keys(ERROR_STATUS) as [ErrorCode, ...ErrorCode[]]),
      message: z.string(),
      details: z.unknown().optional(),
    }),
    request_id: z.string(),
  })
  .meta({ id: 'Problem', description: 'Every error of the native API' });
