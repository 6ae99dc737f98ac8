import { z } from 'zod';
import type { Usage } from '../messages/message.js';

const perMillion = z.number().nonnegative();

/** What a model costs, per million tokens. Without a price of their own, tokens read from or written to a cache cost as much as others. */
export const ModelPrices = z
  .object({
    currency: z.string().regex(/^[A-Z]{3}$/),
    input: perMillion,
    output: perMillion,
    cache_input: perMillion.nullable(),
    cache_creation: perMillion.nullable(),
  })
  .meta({ id: 'ModelPrices' });
export type ModelPrices = z.infer<typeof ModelPrices>;

/** Prices have few decimals and are per million: this many keep every call exact. */
const DECIMALS = 12;

/** The cost of a call as a decimal number in the currency of the prices. */
export function costOf(usage: Usage, prices: ModelPrices): string {
  const { input_tokens, output_tokens, cache_input_tokens, cache_creation_input_tokens } = usage;
  const fresh = Math.max(0, input_tokens - cache_input_tokens - cache_creation_input_tokens);
  const millionths =
    fresh * prices.input +
    cache_input_tokens * (prices.cache_input ?? prices.input) +
    cache_creation_input_tokens * (prices.cache_creation ?? prices.input) +
    output_tokens * prices.output;
  return (millionths / 1e6).toFixed(DECIMALS);
}
