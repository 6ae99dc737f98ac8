import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { tool } from '../testing/reply-harness.js';
import { looseJson } from './loose-json.js';
import type { Tool } from './tool.js';
import { parseToolInput } from './tool-input.js';

const any: Tool = tool('any', async function* () {});
const parse = (text: string) => parseToolInput(any, text, looseJson);
const CUT = expect.stringContaining('it was cut off');

describe('the input of a call that is nearly JSON', () => {
  it.each([
    ['in a fence', '```json\n{"a":1,}\n```', { a: 1 }],
    ['in a fence alone', '```\n{"a":"```"}\n```', { a: '```' }],
    ['with commas at the end', '{"a":[1,2,],"b":{"c":3,},}', { a: [1, 2], b: { c: 3 } }],
    ['in single quotes', `{'a':'x "y"','b':'it\\'s'}`, { a: 'x "y"', b: "it's" }],
    ['with comments', '// so\n{"a":1, /* "b":2, */ "c":"/* no */"} // end', { a: 1, c: '/* no */' }],
    ['with bare keys', '{a:1,$b_c:"x",d-e:[]}', { a: 1, $b_c: 'x', 'd-e': [] }],
    ['with literals of Python', "{'a':True,'b':None,'c':[False]}", { a: true, b: null, c: [false] }],
    ['with raw line ends in strings', '{"a":"x\ny\tz"}', { a: 'x\ny\tz' }],
    ['with code in strings', `{'x':{'a':'{'},'b':"if (x) {"}`, { x: { a: '{' }, b: 'if (x) {' }],
    ['with brackets in strings', `{'a':'}','b':"]{",}`, { a: '}', b: ']{' }],
  ])('is repaired %s', (_name, text, input) => {
    expect(() => void JSON.parse(text)).toThrow();
    expect(parse(text)).toEqual({ ok: true, input, repaired: true });
    expect(parseToolInput(any, text).ok).toBe(false);
  });

  it.each([
    ['a string', '{"path":"/a","content":"half'],
    ['a string that looks closed', '{"path":"/a","content":"function f() { return {}; }'],
    ['a string in single quotes', "{'path':'/a','content':'half }"],
    ['an escape', '{"a":"b\\'],
    ['a code point', '{"a":"\\u12'],
    ['the object', '{"path":"/a","content":"all"'],
    ['a list', '{"a":[1,2'],
    ['a key', '{"a":1,"b'],
    ['a bare key', '{a:1,b'],
    ['a value', '{"a":'],
    ['a literal', '{"a":tru'],
    ['a number', '{"a":1.'],
    ['a comment', '{"a":1, /* b'],
    ['a fence', '```json\n{"a":1,'],
    ['a fence before its object', '```json\n'],
  ])('is an error when %s was cut off', (_name, text) => {
    expect(parse(text)).toEqual({ ok: false, message: CUT });
  });

  it.each([
    ['two objects', '{"a":1}{"b":2}'],
    ['two objects on lines', '{"a":1}\n{"b":2}'],
    ['text before it', 'Sure: {"a":1}'],
    ['text behind it', '{"a":1} done'],
    ['a bracket too many', '{"a":1}}'],
    ['the wrong bracket', '{"a":[1}'],
    ['a list', "['a']"],
    ['quotes inside a string', '{"a":"say "rm" now"}'],
    ['an apostrophe inside a string', "{'a':'don't'}"],
    ['an escape that is none', '{"path":"C:\\Users"}'],
    ['something left out', '{"a":[1,2,...]}'],
    ['something left out of the object', '{"a":"x", ...}'],
    ['a name as value', '{"path":file_path}'],
    ['several words as value', '{"command":rm -rf x}'],
    ['no value', '{"a":,"b":1}'],
    ['a missing comma', '{"a":1 "b":2}'],
    ['a computed string', '{"a":"b"+"c"}'],
    ['a function', 'call({"a":1})'],
    ['what JSON has no number for', '{"a":NaN}'],
    ['a number that is none', '{"a":01}'],
    ['escaped quotes', '{\\"a\\":1}'],
    ['a bad code point', '{"a":"\\u12","b":1,}'],
  ])('is not guessed: %s', (_name, text) => {
    expect(parse(text)).toEqual({ ok: false, message: expect.not.stringContaining('cut off') });
  });

  it('is still held to the schema, and nothing is coerced', () => {
    const strict = tool('strict', async function* () {}, {
      input_schema: { type: 'object', properties: { a: { type: 'integer' } }, additionalProperties: false },
    });
    expect(parseToolInput(strict, '{a:1}', looseJson)).toEqual({ ok: true, input: { a: 1 }, repaired: true });
    expect(parseToolInput(strict, "{a:'1'}", looseJson).ok).toBe(false);
    expect(parseToolInput(strict, '{b:1}', looseJson).ok).toBe(false);
  });

  it('is not touched when it is valid, whatever it holds', () => {
    const never = () => {
      throw new Error('asked to repair');
    };
    fc.assert(
      fc.property(fc.json(), (text) => {
        expect(
          parseToolInput(
            tool('t', async function* () {}, { input_schema: {} }),
            text,
            never,
          ),
        ).toEqual({
          ok: true,
          input: JSON.parse(text) as unknown,
          repaired: false,
        });
      }),
    );
  });
});

const value = fc.letrec<{ value: unknown; object: Record<string, unknown> }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 3 },
    fc.constantFrom(true, false, null),
    fc.integer(),
    fc.double({ noNaN: true, noDefaultInfinity: true }).map((it) => it + 0),
    fc.string({ unit: fc.constantFrom(...'ab "\'\\/*{}[],:#`\n…'.split('')) }),
    fc.array(tie('value'), { maxLength: 3 }),
    tie('object'),
  ),
  object: fc.dictionary(fc.constantFrom('a', 'b_c', 'd e', "f'g", '}'), tie('value'), { maxKeys: 3 }),
}));

interface Style {
  readonly quote: '"' | "'";
  readonly bare: boolean;
  readonly comma: string;
  readonly gap: string;
  readonly python: boolean;
}
const style: fc.Arbitrary<Style> = fc.record({
  quote: fc.constantFrom('"' as const, "'" as const),
  bare: fc.boolean(),
  comma: fc.constantFrom('', ','),
  gap: fc.constantFrom('', ' ', '\n', '/* "{ */', "// }'\n"),
  python: fc.boolean(),
});

/** The value as a careless model may write it. */
function written(it: unknown, how: Style): string {
  const { gap, comma } = how;
  const join = (parts: string[]) => (parts.length === 0 ? gap : parts.join(`${gap},`) + comma + gap);
  if (Array.isArray(it)) return `[${join(it.map((inner) => gap + written(inner, how)))}]`;
  if (typeof it === 'object' && it !== null) {
    const members = Object.entries(it).map(([key, inner]) => {
      const name = how.bare && /^\w+$/.test(key) ? key : written(key, how);
      return `${gap}${name}${gap}:${gap}${written(inner, how)}`;
    });
    return `{${join(members)}}`;
  }
  if (typeof it === 'string') {
    if (how.quote === '"') return JSON.stringify(it);
    return `'${JSON.stringify(it).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
  }
  if (it === null) return how.python ? 'None' : 'null';
  if (typeof it === 'boolean')
    return how.python ? String(it).replace(/^./, (first) => first.toUpperCase()) : String(it);
  return JSON.stringify(it);
}

describe('whatever a careless model writes', () => {
  it('is read as it was meant', () => {
    fc.assert(
      fc.property(value.object, style, fc.boolean(), (meant, how, fenced) => {
        const text = written(meant, how);
        expect(parse(fenced ? `\`\`\`json\n${text}\n\`\`\`` : text)).toMatchObject({
          ok: true,
          input: JSON.parse(JSON.stringify(meant)) as unknown,
        });
      }),
      { numRuns: 500 },
    );
  });

  it('is cut off wherever it ends too early', () => {
    fc.assert(
      fc.property(value.object, style, fc.nat(), (meant, how, cut) => {
        const text = written(meant, how);
        expect(parse(text.slice(0, 1 + (cut % (text.length - 1))))).toEqual({ ok: false, message: CUT });
      }),
      { numRuns: 500 },
    );
  });

  it('takes time in proportion to its length', () => {
    const cases = [
      ['{"a":"', '"b" ', '",}'],
      ['{', '"', '}'],
      ['{"a":', '[', '}'],
      ['{a:"b', '\n"c', '}'],
      ["{a:'", '", ', "'}"],
      ['{', '/**/', '}'],
      ['{', '//\n', '}'],
      ['{', '\\', '}'],
      ['{a:[', '"",', ']}'],
      ['{a:"', '\\n', '",}'],
      ['{a:1}', ' ', 'x'],
      ['```', '\n', '{'],
      ['{a:', '1', 'x}'],
    ] as const;
    const before = process.cpuUsage();
    for (const [open, part, close] of cases) looseJson(open + part.repeat(400_000 / part.length) + close);
    const { user, system } = process.cpuUsage(before);
    expect((user + system) / 1e6).toBeLessThan(3);
  });
});
