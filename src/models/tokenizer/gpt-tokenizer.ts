import { countTokens, setMergeCacheSize } from 'gpt-tokenizer/encoding/o200k_base';
import type { Tokenizer } from '../../core/context/tokenizer.js';

/** Units that are tokenised at a time: the work of the library grows with the square of a text without spaces. */
const SLICE = 256;
/** A longer text is estimated from as many slices of it, evenly spread. */
const MAX_SLICES = 16;
/** Words the library remembers; with its default of 100,000 it would hold tens of megabytes. */
const REMEMBERED = 20_000;

/** What looks like a special token is text like any other. */
const PLAIN = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() };

setMergeCacheSize(REMEMBERED);

/** Tokens of a provider's models per token of o200k_base: estimates on the safe side, for most providers publish no tokenizer. */
const FACTORS: Readonly<Record<string, number>> = { openai: 1, azure_openai: 1, anthropic: 1.3, bedrock: 1.3 };
const OTHER_FACTOR = 1.15;

export const tokenFactorOf = (provider: string): number => FACTORS[provider] ?? OTHER_FACTOR;

/** The tokenizer of OpenAI's newer models. It cuts long texts into slices, so it may count a token twice at each cut. */
export const gptTokenizer: Tokenizer = {
  count(text) {
    const slices = Math.ceil(text.length / SLICE);
    // A pair that is cut in two is more tokens than it has bytes.
    const bound = Buffer.byteLength(text);
    if (slices <= MAX_SLICES) return Math.min(bound, countSlices(text, slices, SLICE));
    const counted = countSlices(text, MAX_SLICES, (text.length - SLICE) / (MAX_SLICES - 1));
    return Math.min(bound, Math.ceil((counted / (MAX_SLICES * SLICE)) * text.length));
  },
};

function countSlices(text: string, slices: number, step: number): number {
  let tokens = 0;
  for (let index = 0; index < slices; index += 1) {
    const start = Math.floor(index * step);
    tokens += countTokens(text.slice(start, start + SLICE), PLAIN);
  }
  return tokens;
}
