import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { countTokens } from 'gpt-tokenizer/encoding/o200k_base';
import { readFileSync } from 'node:fs';
import { performance } from 'node:perf_hooks';
import { BUILT_IN_CREDENTIAL_TYPES } from '../../credentials/types/built-in.js';
import { FACTORS, gptTokenizer, tokenCounterOf } from './gpt-tokenizer.js';

const count = (text: string): number => gptTokenizer.count(text);
const lock = readFileSync(new URL('../../../package-lock.json', import.meta.url), 'utf8');
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
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        const tokens = count(text);
        expect(tokens).toBeGreaterThanOrEqual(0);
        expect(tokens).toBeLessThanOrEqual(Buffer.byteLength(text));
      }),
    );
    for (const odd of ['\u{20000}'.repeat(3000), '\ud83d', '\ude00x', '\0', '\u{fffd}', 'x'.repeat(255) + '😀']) {
      expect(count(odd)).toBeLessThanOrEqual(Buffer.byteLength(odd));
    }
  });

  it('is near the truth for long texts, and for many short ones together', () => {
    const error = (texts: readonly string[]): number => {
      const whole = texts.reduce((sum, text) => sum + countTokens(text), 0);
      return texts.reduce((sum, text) => sum + count(text), 0) / whole - 1;
    };
    const cut = (text: string, length: number) =>
      Array.from({ length: Math.floor(text.length / length) }, (_, n) => text.slice(n * length, (n + 1) * length));
    for (const text of [prose.slice(0, 30_000), lock.slice(0, 30_000)]) {
      for (const length of [200, 700, 3000, 30_000]) expect(Math.abs(error(cut(text, length)))).toBeLessThan(0.15);
    }
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
    // Measured: 1 to 10 ms; all of the ideographs would take four seconds.
    expect(performance.now() - start).toBeLessThan(1000);
  });

  it('knows how much more other tokenizers count, by types of credentials that there are', () => {
    const text = prose.slice(0, 2000);
    const tokens = (type: string) => tokenCounterOf(type).text(text);
    expect(tokens('openai_credential')).toBe(count(text));
    expect(tokens('somebody')).toBeGreaterThan(count(text));
    expect(tokens('anthropic_credential')).toBeGreaterThan(tokens('somebody'));
    expect(tokenCounterOf('bedrock_credential')).toBe(tokenCounterOf('anthropic_credential'));
    const types = new Set(BUILT_IN_CREDENTIAL_TYPES.map(({ type }) => type));
    for (const type of Object.keys(FACTORS)) expect(types).toContain(type);
  });
});
