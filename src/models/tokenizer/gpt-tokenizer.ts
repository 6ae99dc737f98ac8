import { createRequire } from 'node:module';
import type * as Encoding from 'gpt-tokenizer/encoding/o200k_base';
import { TokenCounter } from '../../core/context/token-counter.js';
import type { Tokenizer } from '../../core/context/tokenizer.js';

/** Units that are tokenised at a time: the work of the library grows with the square of a text without spaces. */
const SLICE = 128;
/** Of a longer text than two slices, an eighth is tokenised, evenly spread, and the rest estimated from it. */
const PER_SLICE = 1024;
const MAX_SLICES = 32;
/** Words the library remembers; with its default of 100,000 it would hold tens of megabytes. */
const REMEMBERED = 20_000;

/** What looks like a special token is text like any other. */
const PLAIN = { allowedSpecial: new Set<string>(), disallowedSpecial: new Set<string>() };

let loaded: typeof Encoding | undefined;

/** Its tables take a seventh of a second and 28 MB: they are read when a conversation is first long enough to be counted. */
function encoding(): typeof Encoding {
  if (loaded === undefined) {
    loaded = createRequire(import.meta.url)('gpt-tokenizer/encoding/o200k_base') as typeof Encoding;
    loaded.setMergeCacheSize(REMEMBERED);
  }
  return loaded;
}

/** Tokens of a model per token of o200k_base, by the type of its credential: on the safe side, for most providers publish no tokenizer. */
export const FACTORS: Readonly<Record<string, number>> = {
  openai_credential: 1,
  azure_openai_credential: 1,
  anthropic_credential: 1.3,
  bedrock_credential: 1.3,
};
const OTHER_FACTOR = 1.15;

/** The tokenizer of OpenAI's newer models, on a part of what it is given: whole texts would take it up to four seconds per megabyte. */
export const gptTokenizer: Tokenizer = {
  count(text) {
    // A pair that is cut in two is more tokens than it has bytes.
    const bound = Buffer.byteLength(text);
    if (text.length <= 2 * SLICE) return Math.min(bound, countSlices(text, Math.ceil(text.length / SLICE), SLICE));
    const slices = Math.min(MAX_SLICES, Math.max(2, Math.ceil(text.length / PER_SLICE)));
    const counted = countSlices(text, slices, (text.length - SLICE) / (slices - 1));
    return Math.min(bound, Math.ceil((counted / (slices * SLICE)) * text.length));
  },
};

function countSlices(text: string, slices: number, step: number): number {
  let tokens = 0;
  for (let index = 0; index < slices; index += 1) {
    const start = Math.floor(index * step);
    tokens += encoding().countTokens(text.slice(start, start + SLICE), PLAIN);
  }
  return tokens;
}

const counters = new Map<number, TokenCounter>();

/** Counts for the models that a type of credential opens; the same counter each time, so that nothing is counted twice. */
export function tokenCounterOf(credentialType: string): TokenCounter {
  const factor = FACTORS[credentialType] ?? OTHER_FACTOR;
  let counter = counters.get(factor);
  if (counter === undefined) counters.set(factor, (counter = new TokenCounter(gptTokenizer, factor)));
  return counter;
}
