import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { posix } from 'node:path';
import { compileGlob, escapeGlob } from './glob.js';
import { escapeWildcards, hasWildcard, literalOf, wildcardFits } from './wildcard.js';

describe('a glob', () => {
  it.each([
    ['/ws/**', '/ws'],
    ['/ws/**', '/ws/a/b'],
    ['/ws/**', '/ws/.env'],
    ['/ws/*', '/ws/a'],
    ['/ws/**/c', '/ws/c'],
    ['/ws/**/c', '/ws/a/b/c'],
    ['/**/c', '/a/b/c'],
    ['/ws/*.{ts,js}', '/ws/a.js'],
    ['/ws/{a,{b,c}}/d', '/ws/c/d'],
    ['/ws/{a}', '/ws/{a}'],
    ['/ws/?.ts', '/ws/ä.ts'],
    ['/ws/?', '/ws/😀'],
    ['/ws/[a-c]x', '/ws/bx'],
    ['/ws/[!a]x', '/ws/bx'],
    ['/ws/[]]x', '/ws/]x'],
    ['/ws/\\*', '/ws/*'],
    ['/ws/a**b', '/ws/axxb'],
  ])('%j fits %j', (pattern, path) => expect(compileGlob(pattern)?.(path)).toBe(true));

  it.each([
    ['/ws/**', '/wsx'],
    ['/ws/**', '/'],
    ['/ws/*', '/ws'],
    ['/ws/*', '/ws/a/b'],
    ['/ws/**/c', '/ws/abc'],
    ['/ws/a**b', '/ws/a/b'],
    ['/ws/?', '/ws/ab'],
    ['/ws/[!a]x', '/ws/ax'],
    ['/ws/\\*', '/ws/a'],
    ['/ws/A', '/ws/a'],
    ['', '/ws'],
  ])('%j does not fit %j', (pattern, path) => expect(compileGlob(pattern)?.(path)).toBe(false));

  it.each([
    '/ws/!(a)',
    '/ws/+(a)',
    '/ws/[a',
    '/ws/{a,b',
    '/ws/a}',
    '/ws/../etc',
    '/ws/./a',
    '/ws/\\',
    '/[[:alpha:]]',
    'a'.repeat(1001),
    '{a,b}'.repeat(7),
  ])('%j is not understood', (pattern) => expect(compileGlob(pattern)).toBeNull());

  it('says what the one of Node says', () => {
    const part = fc.constantFrom('a', 'b', '/', '/', '*', '**', '?', '[ab]', '[!a]', '{a,b}', 'ab');
    const pattern = fc.array(part, { maxLength: 8 }).map((it) => `/${it.join('')}`);
    const path = fc
      .array(fc.constantFrom('a', 'b', 'ab', 'ba'), { minLength: 1, maxLength: 4 })
      .map((it) => `/${it.join('/')}`);
    fc.assert(
      fc.property(pattern, path, (glob, text) => {
        // Node folds doubled slashes, and has a folder not fit what speaks of all in it.
        fc.pre(!glob.includes('//') && !glob.endsWith('/') && !glob.endsWith('/**'));
        expect(compileGlob(glob)?.(text)).toBe(posix.matchesGlob(text, glob));
      }),
      { numRuns: 1000 },
    );
  });

  it('that was escaped fits its own text only', () => {
    const char = fc.constantFrom('a', '*', '?', '[', ']', '{', '}', ',', '!', '(', ')', '\\', '+', '@');
    const text = fc.array(char, { minLength: 1, maxLength: 8 }).map((it) => `/${it.join('')}`);
    fc.assert(
      fc.property(text, text, (one, other) => {
        expect(compileGlob(escapeGlob(one))?.(one)).toBe(true);
        expect(compileGlob(escapeGlob(one))?.(other)).toBe(one === other);
      }),
    );
  });

  it('comes to its end on what has a regular expression try for ever', () => {
    const path = `/${'a'.repeat(4000)}`;
    expect(compileGlob(`/${'a*'.repeat(400)}b`)?.(path)).toBe(false);
    expect(compileGlob(`${'/**/a'.repeat(150)}/b`)?.('/a'.repeat(2000))).toBe(false);
    expect(wildcardFits(`${'a*'.repeat(400)}b`, 'a'.repeat(16_000))).toBe(false);
  });
});

describe('a pattern with wildcards', () => {
  it.each([
    ['git *', 'git', true],
    ['git *', 'git status', true],
    ['git *', 'gitk', false],
    ['* push', 'git push', true],
    ['a\\*b', 'a*b', true],
    ['a\\*b', 'axb', false],
    ['a\\\\*', 'a\\x', true],
    ['a*b*c', 'a1b2c', true],
    ['a*b*c', 'a1c2b', false],
    ['', '', true],
    ['*', '', true],
  ])('%j, %j: %j', (pattern, text, expected) => expect(wildcardFits(pattern, text)).toBe(expected));

  it('says its text when it is escaped', () => {
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(hasWildcard(escapeWildcards(text))).toBe(false);
        expect(literalOf(escapeWildcards(text))).toBe(text);
      }),
    );
  });
});
