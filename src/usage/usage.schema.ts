import { z } from 'zod';
import { Usage } from '../core/messages/message.js';

/** What usage may be summed by. */
export const DIMENSIONS = [
  'tenant',
  'day',
  'user',
  'agent',
  'session',
  'run',
  'credential',
  'provider',
  'model',
] as const;
export const Dimension = z.enum(DIMENSIONS);
export type Dimension = z.infer<typeof Dimension>;

const MAX_DIMENSIONS = 3;
const DAY_MS = 86_400_000;
const DEFAULT_DAYS = 30;
const MAX_DAYS = 400;

const instant = z.union([z.iso.date(), z.iso.datetime({ offset: true })]).transform((text) => new Date(text));

export const UsageQuery = z
  .object({
    group_by: z
      .string()
      .default('day')
      .transform((text) => text.split(',').map((item) => item.trim()))
      .pipe(z.array(Dimension).min(1).max(MAX_DIMENSIONS))
      .refine((list) => new Set(list).size === list.length, 'names a dimension twice')
      .describe(`Up to ${MAX_DIMENSIONS} of ${DIMENSIONS.join(', ')}, comma separated`),
    from: instant.optional().describe(`A date or time; default ${DEFAULT_DAYS} days before \`to\``),
    to: instant.optional().describe(`The end, not included; default now. At most ${MAX_DAYS} days after \`from\``),
    scope: z
      .enum(['own', 'tenant'])
      .default('own')
      .describe('Your own calls, or those of all users of the tenant, which needs the scope `usage:tenant`'),
    user_id: z.string().max(256).optional(),
    agent_id: z.uuid().optional(),
    session_id: z.uuid().optional(),
    credential_id: z.uuid().optional(),
    provider: z.string().max(128).optional(),
    model: z.string().max(256).optional(),
    limit: z.coerce.number().int().min(1).max(1000).default(200).describe('Groups per page'),
    cursor: z.string().max(4096).optional().describe('`next_cursor` of the previous page'),
  })
  .transform(({ from, to, ...query }) => {
    const end = to ?? new Date();
    return { ...query, from: from ?? new Date(end.getTime() - DEFAULT_DAYS * DAY_MS), to: end };
  })
  .refine(({ from, to }) => from < to, { path: ['from'], message: 'must be before `to`' })
  .refine(({ from, to }) => to.getTime() - from.getTime() <= MAX_DAYS * DAY_MS, {
    path: ['from'],
    message: `may be at most ${MAX_DAYS} days before \`to\``,
  });
export type UsageQuery = z.infer<typeof UsageQuery>;

const Cost = z.object({
  currency: z.string().describe('ISO 4217'),
  amount: z.string().describe('A decimal number'),
});

const UsageSums = Usage.extend({
  calls: z.int().nonnegative().describe('Attempts, retries and calls of the fallback model included'),
  failed_calls: z.int().nonnegative(),
  unpriced_calls: z.int().nonnegative().describe('Of models whose price is not known: they are in no cost'),
  costs: z.array(Cost),
});

export const UsageGroup = UsageSums.extend({
  tenant: z.string().optional(),
  day: z.iso.date().optional().describe('UTC'),
  user: z.string().optional(),
  agent: z.uuid().optional(),
  session: z.uuid().optional(),
  run: z.uuid().optional(),
  credential: z.uuid().nullable().optional(),
  provider: z.string().optional(),
  model: z.string().optional(),
}).meta({ id: 'UsageGroup', description: 'Sums, and the value of each dimension that was asked for' });
export type UsageGroup = z.infer<typeof UsageGroup>;

export const UsageReport = z
  .object({
    usage: z.array(UsageGroup),
    total: UsageSums.describe('Over all groups, also those of other pages'),
    next_cursor: z.string().nullable(),
    from: z.iso.datetime(),
    to: z.iso.datetime(),
    group_by: z.array(Dimension),
  })
  .meta({ id: 'UsageReport' });
export type UsageReport = z.infer<typeof UsageReport>;
export type UsageSums = z.infer<typeof UsageSums>;
