import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { ToolError, type ServiceTool } from '../agent/tool.js';
import { parseToolInput } from '../agent/tool-input.js';
import { AgentState } from '../state/session-state.js';
import { calculatorTool } from './calculator.js';
import { currentTimeTool } from './current-time.js';
import { evaluate } from './expression.js';

async function output(tool: ServiceTool, input: unknown): Promise<string> {
  let text = '';
  const context = { tool_call_id: 'c', signal: new AbortController().signal, state: new AgentState(), offload: null };
  for await (const chunk of tool.run(input, context)) if (chunk.type === 'text') text += chunk.text;
  return text;
}

describe('calculator', () => {
  it.each([
    ['1 + 2 * 3', 7],
    ['(1 + 2) * 3', 9],
    ['10 - 4 - 3', 3],
    ['100 / 10 / 5', 2],
    ['7 % 4', 3],
    ['2 ^ 3 ^ 2', 512],
    ['2 ** 3', 8],
    ['-2 ^ 2', -4],
    ['2 ^ -1', 0.5],
    ['--3', 3],
    ['+3', 3],
    ['1.5e3 + .5', 1500.5],
    ['2e-2', 0.02],
    ['sqrt(16) + abs(-2)', 6],
    ['round(2.5) + floor(2.9) + ceil(2.1)', 8],
    ['min(3, 1, 2) + max(3, 1, 2)', 4],
    ['log(1000)', 3],
    ['ln(e)', 1],
    ['exp(0) + sin(0) + cos(0) + tan(0)', 2],
    ['pi', Math.PI],
    [' 1 ', 1],
  ])('%s = %d', (expression, value) => {
    expect(evaluate(expression)).toBeCloseTo(value, 12);
  });

  it.each([
    ['', 'unexpected the end at position 1'],
    ['1 +', 'unexpected the end at position 4'],
    ['1 / 0', 'division by zero at position 3'],
    ['5 % (1 - 1)', 'division by zero at position 3'],
    ['0 ^ -1', 'division by zero at position 3'],
    ['2 x', 'unexpected "x" at position 3'],
    ['foo + 1', 'unknown name "foo" at position 1'],
    ['constructor', 'unknown name "constructor" at position 1'],
    ['sqrt(-1)', '"sqrt" is not defined for this value at position 1'],
    ['sqrt(1, 2)', 'sqrt takes one argument at position 1'],
    ['sqrt 4', 'unexpected "4" at position 6'],
    ['(1', 'unexpected the end at position 3'],
    ['1)', 'unexpected ")" at position 2'],
    ['1  $ 2', 'unexpected "$" at position 4'],
    ['10 ^ 1000', 'the number is too large at position 4'],
    ['(-1) ^ 0.5', '"^" is not defined for this value at position 6'],
    ['('.repeat(500), 'the nesting is too deep at position 101'],
    ['-'.repeat(500) + '1', 'the nesting is too deep at position 101'],
  ])('refuses %s', (expression, reason) => {
    expect(() => evaluate(expression)).toThrow(new ToolError(`Cannot calculate: ${reason}.`));
  });

  it('answers anything with a finite number or a ToolError', () => {
    const token = fc.constantFrom(
      '1',
      '2.5',
      '+',
      '-',
      '*',
      '/',
      '^',
      '**',
      '%',
      '(',
      ')',
      ',',
      'pi',
      'min',
      'sqrt',
      ' ',
      '#',
    );
    fc.assert(
      fc.property(fc.array(token, { maxLength: 40 }), (tokens) => {
        try {
          expect(Number.isFinite(evaluate(tokens.join('')))).toBe(true);
        } catch (error) {
          expect(error).toBeInstanceOf(ToolError);
        }
      }),
    );
  });

  it('agrees with the arithmetic of the language', () => {
    const leaf = fc.integer({ min: 1, max: 9 }).map(String);
    const { tree } = fc.letrec<{ tree: string }>((tie) => ({
      tree: fc.oneof(
        { maxDepth: 4 },
        leaf,
        fc.tuple(tie('tree'), fc.constantFrom('+', '-', '*'), tie('tree')).map(([a, op, b]) => `(${a} ${op} ${b})`),
      ),
    }));
    // Zero has a sign in floating point, and is written without it.
    const agrees = (text: string) => expect(evaluate(text) + 0).toBe(shunt(text));
    fc.assert(fc.property(tree, agrees), { examples: [['((4 - 4) * (1 - 2))']] });
  });

  it('is a tool', async () => {
    expect(await output(calculatorTool, { expression: '1 / 4' })).toBe('0.25');
    expect(parseToolInput(calculatorTool, JSON.stringify({ expression: '1'.repeat(1001) })).ok).toBe(false);
    expect(parseToolInput(calculatorTool, '{"expression":"1"}').ok).toBe(true);
  });
});

/** Reduces fully parenthesised integer expressions from the inside out. */
function shunt(text: string): number {
  let rest = text;
  const innermost = /\((-?\d+) ([-+*]) (-?\d+)\)/;
  for (let match = innermost.exec(rest); match !== null; match = innermost.exec(rest)) {
    const [whole, a, op, b] = [match[0], BigInt(match[1] ?? 0), match[2], BigInt(match[3] ?? 0)];
    rest = rest.replace(whole, String(op === '+' ? a + b : op === '-' ? a - b : a * b));
  }
  return Number(rest);
}

describe('current_time', () => {
  const tool = currentTimeTool(() => new Date('2026-07-01T22:30:05.123Z'));

  it.each([
    [undefined, '2026-07-01T22:30:05+00:00 (Wednesday, UTC)'],
    ['Europe/Berlin', '2026-07-02T00:30:05+02:00 (Thursday, Europe/Berlin)'],
    ['America/New_York', '2026-07-01T18:30:05-04:00 (Wednesday, America/New_York)'],
    ['Asia/Kolkata', '2026-07-02T04:00:05+05:30 (Thursday, Asia/Kolkata)'],
  ])('tells the time in %s', async (timezone, expected) => {
    expect(await output(tool, { timezone })).toBe(expected);
  });

  it.each(['Mars/Olympus', ''])('refuses the zone "%s"', async (timezone) => {
    await expect(output(tool, { timezone })).rejects.toThrow(ToolError);
  });

  it('reads the clock of the process by default', async () => {
    const before = Math.floor(Date.now() / 1000) * 1000;
    const [time = ''] = (await output(currentTimeTool(), {})).split(' ');
    expect(Date.parse(time)).toBeGreaterThanOrEqual(before);
    expect(Date.parse(time)).toBeLessThanOrEqual(Date.now());
  });
});
