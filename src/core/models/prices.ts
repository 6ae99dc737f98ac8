import type { Usage } from '../messages/message.js';
import type { ModelPrices } from './model-card.js';

/** Prices have few decimals and are per million: this many keep every call exact. */
const DECIMALS = 12;

/** The cost of a call as a decimal number in the currency of the prices. Cached tokens without a price of their own cost as much as others. */
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
