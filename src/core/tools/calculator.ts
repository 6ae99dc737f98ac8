import { z } from 'zod';
import type { ServiceTool } from '../agent/tool.js';
import { evaluate } from './expression.js';

const MAX_LENGTH = 1000;

const Input = z.object({
  expression: z.string().min(1).max(MAX_LENGTH).describe('For example "2 * (3 + sqrt(16)) ^ 2"'),
});

/** Calculates an arithmetic expression. */
export const calculatorTool: ServiceTool = {
  name: 'calculator',
  description:
    'Calculates an arithmetic expression: + - * / % ^ (or **), parentheses, the constants pi and e, and the functions ' +
    'sqrt abs round floor ceil min max log (base 10) ln exp sin cos tan (radians).',
  input_schema: z.toJSONSchema(Input),
  is_read_only: true,
  is_concurrency_safe: true,
  is_idempotent: true,
  async *run(input) {
    yield { type: 'text', text: String(evaluate(Input.parse(input).expression)) };
  },
};
