import { describe, expect, it } from '@jest/globals';
import { EMPTY_STATE } from '../state/session-state.js';
import { tool } from '../testing/reply-harness.js';
import { parseToolInput } from './tool-input.js';
import { Toolkit } from './toolkit.js';

const none = async function* () {};

describe('Toolkit', () => {
  it('finds tools by name and tells the model only what it needs', () => {
    const one = tool('one', none);
    const kit = new Toolkit([one]);
    expect(kit.get('one')).toBe(one);
    expect(kit.get('constructor')).toBeUndefined();
    expect(kit.offered(EMPTY_STATE)).toEqual([{ name: 'one', description: 'one', input_schema: { type: 'object' } }]);
  });

  it('refuses two tools of one name', () => {
    expect(() => new Toolkit([tool('one', none), tool('one', none)])).toThrow('Two tools are named "one".');
  });
});

describe('parseToolInput', () => {
  const strict = tool('strict', none, {
    input_schema: {
      type: 'object',
      properties: { a: { type: 'object', properties: { b: { type: 'integer' } }, required: ['b'] } },
      required: ['a'],
      additionalProperties: false,
    },
  });

  it.each([
    ['{"a":{"b":1}}', { a: { b: 1 } }],
    [' {"a":{"b":1,"more":2}} ', { a: { b: 1, more: 2 } }],
  ])('accepts %s', (text, input) => {
    expect(parseToolInput(strict, text)).toEqual({ ok: true, input, repaired: false });
  });

  it.each([
    ['', /input\.a: /],
    ['{"a":{"b":"x"}}', /input\.a\.b: .*expected/],
    ['{"a":{"b":1},"c":2}', /input: .*"c"/],
    ['[]', /input: .*expected object/],
    ['{', /The input of tool "strict" is not valid JSON/],
  ])('refuses %s', (text, message) => {
    expect(parseToolInput(strict, text)).toEqual({ ok: false, message: expect.stringMatching(message) });
  });

  it('names a handful of mistakes', () => {
    const list = tool('list', none, { input_schema: { type: 'array', items: { type: 'string' } } });
    const parsed = parseToolInput(list, JSON.stringify(new Array(50).fill(0)));
    expect(parsed).toEqual({ ok: false, message: expect.stringMatching(/input\[4\].*; and 45 more$/) });
  });

  it('leaves a schema that cannot be compiled to the tool', () => {
    const remote = tool('remote', none, { input_schema: { $ref: 'https://x.test/schema' } });
    expect(parseToolInput(remote, '{"a":1}')).toEqual({ ok: true, input: { a: 1 }, repaired: false });
  });
});
