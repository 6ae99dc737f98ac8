import { z } from 'zod';
import { ContentBlock, DataSource, Metadata, Timestamp } from './block.js';

/** Token counts of one or more model calls. `input_tokens` includes the cached ones, `output_tokens` the reasoning. */
export const Usage = z
  .object({
    input_tokens: z.int().nonnegative(),
    output_tokens: z.int().nonnegative(),
    cache_input_tokens: z.int().nonnegative(),
    cache_creation_input_tokens: z.int().nonnegative(),
    reasoning_tokens: z.int().nonnegative(),
  })
  .meta({ id: 'Usage' });
export type Usage = z.infer<typeof Usage>;

export const NO_USAGE: Usage = {
  input_tokens: 0,
  output_tokens: 0,
  cache_input_tokens: 0,
  cache_creation_input_tokens: 0,
  reasoning_tokens: 0,
};

/** Far above any real count, and far below where sums of them are no exact numbers any more. */
const MAX_COUNT = 1e12;

/** What a model says it used, as whole numbers that can be stored and added: what is missing, or no such number, counts as none. */
export function countable(usage: Partial<Record<keyof Usage, unknown>>): Usage {
  const count = (value: unknown): number =>
    typeof value === 'number' && value > 0 && value <= MAX_COUNT ? Math.round(value) : 0;
  return {
    input_tokens: count(usage.input_tokens),
    output_tokens: count(usage.output_tokens),
    cache_input_tokens: count(usage.cache_input_tokens),
    cache_creation_input_tokens: count(usage.cache_creation_input_tokens),
    reasoning_tokens: count(usage.reasoning_tokens),
  };
}

/** Sanitised classes of failure; what a provider really said stays in the log of the service. */
export const ErrorType = z.enum([
  'authentication',
  'permission',
  'rate_limit',
  'invalid_request',
  'upstream',
  'connection',
  'internal',
  'setup',
  'unknown',
]);
export type ErrorType = z.infer<typeof ErrorType>;

export const ErrorInfo = z.object({ type: ErrorType, message: z.string() }).meta({ id: 'ErrorInfo' });
export type ErrorInfo = z.infer<typeof ErrorInfo>;

export const FinishedReason = z.enum(['completed', 'interrupted', 'exceed_max_iters', 'error']);
export type FinishedReason = z.infer<typeof FinishedReason>;

/** One message of a transcript. An assistant message is one whole reply (`id` = reply_id) over all its model calls. */
export const Msg = z
  .object({
    id: z.string().min(1).max(256),
    name: z.string(),
    role: z.enum(['user', 'assistant', 'system']),
    content: z.array(ContentBlock),
    metadata: Metadata,
    created_at: Timestamp,
    finished_at: Timestamp.nullable(),
    finished_reason: FinishedReason.nullable(),
    usage: Usage.nullable(),
    error: ErrorInfo.nullable(),
    structured_output: z.unknown().nullable(),
  })
  .meta({ id: 'Msg' });
export type Msg = z.infer<typeof Msg>;

/** Bound on one text part of an input, in UTF-16 units; the body limit of the listener bounds the whole. */
const MAX_TEXT = 4_000_000;

const InputBlock = z.discriminatedUnion('type', [
  z.object({ type: z.literal('text'), text: z.string().max(MAX_TEXT), id: z.string().min(1).max(256).optional() }),
  z.object({
    type: z.literal('data'),
    source: DataSource,
    name: z.string().max(1024).nullish(),
    id: z.string().min(1).max(256).optional(),
  }),
]);

/**
 * A message as a client sends it: only users speak from outside, and only in text and data. Ids, times and the rest are filled in
 * when the input is accepted; a client-chosen `id` makes a repeated POST harmless.
 */
export const InputMsg = z
  .object({
    id: z.string().min(1).max(256).optional(),
    name: z.string().min(1).max(256).default('user'),
    role: z.literal('user').default('user'),
    content: z
      .union([z.string().max(MAX_TEXT), z.array(InputBlock).min(1).max(256)])
      .refine((content) => content.length > 0, 'must not be empty'),
    metadata: Metadata.optional(),
  })
  .meta({ id: 'InputMsg' });
export type InputMsg = z.infer<typeof InputMsg>;

/** Completes a client's message: block ids and times are given here, once, so that every view of the session agrees on them. */
export function acceptInput(input: InputMsg, newId: () => string, now: string): Msg {
  const blocks = typeof input.content === 'string' ? [{ type: 'text' as const, text: input.content }] : input.content;
  return {
    id: input.id ?? newId(),
    name: input.name,
    role: 'user',
    content: blocks.map((block) => {
      const base = { id: ('id' in block && block.id) || newId(), created_at: now, finished_at: now };
      return block.type === 'text'
        ? { type: 'text', text: block.text, ...base }
        : { type: 'data', source: block.source, name: block.name ?? null, ...base };
    }),
    metadata: input.metadata ?? {},
    created_at: now,
    finished_at: now,
    finished_reason: null,
    usage: null,
    error: null,
    structured_output: null,
  };
}

export function addUsage(total: Usage | null, more: Usage): Usage {
  if (total === null) return { ...more };
  return {
    input_tokens: total.input_tokens + more.input_tokens,
    output_tokens: total.output_tokens + more.output_tokens,
    cache_input_tokens: total.cache_input_tokens + more.cache_input_tokens,
    cache_creation_input_tokens: total.cache_creation_input_tokens + more.cache_creation_input_tokens,
    reasoning_tokens: total.reasoning_tokens + more.reasoning_tokens,
  };
}
