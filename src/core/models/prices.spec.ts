import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { NO_USAGE } from '../messages/message.js';
import type { ModelPrices } from './model-card.js';
import { costOf } from './prices.js';

const prices: ModelPrices = { currency: 'USD', input: 3, output: 15, cache_input: 0.3, cache_creation: 3.75 };

describe('costOf', () => {
  it.each([
    ['nothing', {}, '0.000000000000'],
    ['fresh input', { input_tokens: 1_000_000 }, '3.000000000000'],
    ['output, reasoning included', { output_tokens: 1000, reasoning_tokens: 900 }, '0.015000000000'],
    ['cached input, which is part of the input', { input_tokens: 1000, cache_input_tokens: 1000 }, '0.000300000000'],
    ['what was put into a cache', { input_tokens: 1000, cache_creation_input_tokens: 400 }, '0.003300000000'],
    ['a single token', { input_tokens: 1, cache_input_tokens: 1 }, '0.000000300000'],
  ])('charges %s', (_, usage, cost) => {
    expect(costOf({ ...NO_USAGE, ...usage }, prices)).toBe(cost);
  });

  it('charges cached tokens as others where they have no price of their own', () => {
    const plain = { ...prices, cache_input: null, cache_creation: null };
    const usage = { ...NO_USAGE, input_tokens: 1000, cache_input_tokens: 600, cache_creation_input_tokens: 100 };
    expect(costOf(usage, plain)).toBe(costOf({ ...NO_USAGE, input_tokens: 1000 }, plain));
  });

  it('never charges less than nothing, also when a provider counts cached tokens beside the input', () => {
    fc.assert(
      fc.property(fc.nat(10_000_000), fc.nat(10_000_000), fc.nat(10_000_000), (input_tokens, cached, created) => {
        const usage = { ...NO_USAGE, input_tokens, cache_input_tokens: cached, cache_creation_input_tokens: created };
        expect(Number(costOf(usage, prices))).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});
