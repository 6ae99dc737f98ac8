import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { gptTokenizer, tokenFactorOf } from './gpt-tokenizer.js';

const { count } = gptTokenizer;
const prose = readFileSync(new URL('../../../README.md', import.meta.url), 'utf8');

describe('gptTokenizer', () => {
  it('counts as OpenAI does', () => {
    expect(count('')).toBe(0);
    expect(count('hello world')).toBe(2);
    expect(count('The quick brown fox jumps over the lazy dog.')).toBe(10);
  });

  it('takes special tokens for text', () => {
    expect(count('<|endoftext|>')).toBeGreaterThan(1);
    expect(count('<|im_start|>system')).toBeGreaterThan(2);
  });

  it('never throws, and never counts more tokens than bytes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 600 }), (text) => {
        const tokens = count(text);
        expect(tokens).toBeGreaterThanOrEqual(0);
        expect(tokens).toBeLessThanOrEqual(Buffer.byteLength(text));
      }),
    );
    for (const odd of ['\u{20000}'.repeat(3000), '\ud83d', '\ude00x', '\0', '\u{fffd}', 'x'.repeat(255) + '😀']) {
      expect(count(odd)).toBeLessThanOrEqual(Buffer.byteLength(odd));
    }
  });

  it('estimates a long text within a tenth of the sum of its parts', () => {
    const long = prose.slice(0, 40_000);
    const parts = Array.from({ length: 10 }, (_, n) => count(long.slice(n * 4000, (n + 1) * 4000)));
    const whole = parts.reduce((sum, part) => sum + part, 0);
    expect(Math.abs(count(long) - whole) / whole).toBeLessThan(0.1);
  });

  it.each([
    ['prose', prose.repeat(60)],
    ['one word', 'a'.repeat(2_000_000)],
    [
      'ideographs',
      Array.from({ length: 2_000_000 }, (_, n) => String.fromCharCode(0x4e00 + ((n * 7919) % 20_000))).join(''),
    ],
  ])('takes no longer for two million characters of %s than for a few thousand', (_, text) => {
    count(text);
    const start = performance.now();
    count(text);
    // Measured: 1 to 10 ms; one after the other, the slices of the whole would take seconds.
    expect(performance.now() - start).toBeLessThan(200);
  });

  it('knows how much more other tokenizers count', () => {
    expect(tokenFactorOf('openai')).toBe(1);
    expect(tokenFactorOf('anthropic')).toBeGreaterThan(tokenFactorOf('somebody'));
    expect(tokenFactorOf('somebody')).toBeGreaterThan(1);
  });
});
