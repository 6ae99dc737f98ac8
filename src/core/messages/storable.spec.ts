import { describe, expect, it } from '@jest/globals';
import { isStorable, storable, StorableDeltas } from './storable.js';

describe('storable', () => {
  it.each([
    ['plain ä 😀', 'plain ä 😀'],
    ['a\0b', 'a\u{fffd}b'],
    ['\ud83d', '\u{fffd}'],
    ['x\ude00y', 'x\u{fffd}y'],
  ])('turns %j into %j', (text, expected) => {
    expect(storable(text)).toBe(expected);
    expect(isStorable(expected)).toBe(true);
  });

  it('joins a pair that was cut between two deltas of one block, not of two', () => {
    const deltas = new StorableDeltas();
    expect(deltas.clean('a', 'hi \ud83d')).toBe('hi ');
    expect(deltas.clean('b', '\ude00')).toBe('\u{fffd}');
    expect(deltas.clean('a', '\ude00!')).toBe('😀!');
    expect(deltas.clean('a', 'more')).toBe('more');
  });

  it('replaces a first half that no second half follows', () => {
    const deltas = new StorableDeltas();
    expect(deltas.clean('a', '\ud83d')).toBe('');
    expect(deltas.clean('a', 'x')).toBe('\u{fffd}x');
  });
});
