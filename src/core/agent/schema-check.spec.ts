import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import { isCheckable, schemaIssues } from './schema-check.js';

const within = <T>(ms: number, run: () => T): T => {
  const begun = performance.now();
  const result = run();
  expect(performance.now() - begun).toBeLessThan(ms);
  return result;
};

const object = (properties: Record<string, unknown>, rest: Record<string, unknown> = {}) => ({
  type: 'object',
  properties,
  ...rest,
});
const UNCHECKED = [expect.stringContaining('cannot be checked')];

/** 2^30 ways to see that a text is no number. */
function branching(): Record<string, unknown> {
  const $defs: Record<string, unknown> = { d30: { type: 'number' } };
  for (let i = 0; i < 30; i += 1) {
    const next = { $ref: `#/$defs/d${i + 1}` };
    $defs[`d${i}`] = { anyOf: [next, next] };
  }
  return object({ a: { $ref: '#/$defs/d0' } }, { $defs });
}

describe('schemaIssues', () => {
  it('says what is wrong and where', () => {
    const schema = object({ a: { type: 'array', items: { type: 'number' } } }, { required: ['a'] });
    expect(schemaIssues(schema, { a: [1] }, 9)).toEqual([]);
    expect(schemaIssues(schema, { a: [1, 'x'] }, 9)).toEqual([expect.stringMatching(/^input\.a\[1\]: /)]);
  });

  it('checks expressions and references', () => {
    const schema = object(
      { a: { $ref: '#/$defs/code' } },
      { $defs: { code: { type: 'string', pattern: '^[a-z]{2}$' } } },
    );
    expect(schemaIssues(schema, { a: 'de' }, 9)).toEqual([]);
    expect(schemaIssues(schema, { a: 'DE' }, 9)).toHaveLength(1);
    expect(schemaIssues(schema, { a: 'fr' }, 9)).toEqual([]);
  });

  it.each([
    ['an expression that backtracks', object({ a: { type: 'string', pattern: '^(a+)+$' } })],
    ['names by an expression that backtracks', { type: 'object', patternProperties: { '^(a+)+$': {} } }],
    ['branches that multiply', branching()],
  ])('stops at %s', (_, schema) => {
    const text = `${'a'.repeat(50)}!`;
    const value = { a: text, [text]: 1 };
    expect(isCheckable(schema)).toBe(true);
    expect(within(1000, () => schemaIssues(schema, value, 99))).toEqual(UNCHECKED);
    expect(within(50, () => schemaIssues(schema, { a: 'b' }, 9))).toEqual(UNCHECKED);
  });

  it.each([
    ['a list of alternatives for each of many items', { anyOf: new Array(5000).fill({ type: 'boolean' }) }],
    ['a schema that holds itself', { $ref: '#/properties/a' }],
  ])('is not held up by %s', (_, items) => {
    const schema = object({ a: { type: 'array', items } });
    const value = { a: new Array(100_000).fill([1]) };
    within(3000, () => schemaIssues(schema, value, 400_000));
  });

  it('lets through what has no schema that can be compiled', () => {
    const schema = { type: 'object', properties: { a: { $ref: 'https://example.com/a' } } };
    expect(isCheckable(schema)).toBe(false);
    expect(schemaIssues(schema, { a: 1 }, 9)).toEqual([]);
  });

  it('is not held up by a schema whose types multiply', () => {
    let a: Record<string, unknown> = { type: 'string' };
    for (let depth = 0; depth < 15; depth += 1) a = { type: ['object', 'object', 'object', 'null'], properties: { a } };
    const schema = object({ a });
    expect(within(1000, () => isCheckable(schema))).toBe(false);
    expect(within(50, () => schemaIssues(schema, { a: 'x' }, 9))).toEqual(UNCHECKED);
  });

  it('keeps nothing of a schema', () => {
    isCheckable(object({ a: { type: 'string', id: 'SchemaOfAClient' } }));
    expect(z.toJSONSchema(z.globalRegistry).schemas).not.toHaveProperty('SchemaOfAClient');
  });

  it('can tell of a schema that is nested without end', () => {
    let schema: Record<string, unknown> = { type: 'string' };
    for (let depth = 0; depth < 20_000; depth += 1) schema = { type: 'array', items: schema };
    expect(isCheckable(object({ a: schema }))).toBe(false);
  });
});
