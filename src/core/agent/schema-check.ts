import { createContext, Script } from 'node:vm';
import { z } from 'zod';

/** A check that takes longer is stopped, and what it is about refused for a while: a turn may hold hundreds of calls. */
const MAX_CHECK_MS = 100;
const PAUSE_MS = 60_000;
/** From this length on an input is checked under the clock, whatever its schema says. */
const LONG_INPUT = 10_000;
/** With these keywords the time of a check is no longer in proportion to schema and input: expressions that backtrack, branches that multiply. */
const COSTLY = /"(?:pattern|patternProperties|\$ref|\$dynamicRef)"/;

const NOT_CHECKED = 'input: it cannot be checked against its schema in reasonable time';

interface Check {
  readonly type: z.ZodType;
  readonly isCostly: boolean;
  pausedUntil: number;
}

/** Schemas are compiled once per schema object; null marks one that cannot be compiled. */
const checks = new WeakMap<object, Check | null>();

/**
 * What is wrong with a value, as `path: message`; nothing for a schema that cannot be compiled. `length` is that of the value's text. Schemas
 * come from clients and from tools of others, and a check holds up the whole process; so it never takes long, and never throws.
 */
export function schemaIssues(schema: Record<string, unknown>, value: unknown, length: number): string[] {
  const check = checkOf(schema);
  if (check === null) return [];
  if (performance.now() < check.pausedUntil) return [NOT_CHECKED];
  const parse = () => check.type.safeParse(value);
  try {
    const result = check.isCostly || length >= LONG_INPUT ? inTime(parse) : parse();
    return result.success ? [] : result.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`);
  } catch {
    // Out of time, or a schema that refers to itself without end.
    check.pausedUntil = performance.now() + PAUSE_MS;
    return [NOT_CHECKED];
  }
}

/** Whether values can be checked against the schema at all. */
export function isCheckable(schema: Record<string, unknown>): boolean {
  return checkOf(schema) !== null;
}

function checkOf(schema: Record<string, unknown>): Check | null {
  let check = checks.get(schema);
  if (check === undefined) {
    try {
      const isCostly = COSTLY.test(JSON.stringify(schema));
      check = { type: z.fromJSONSchema(schema), isCostly, pausedUntil: 0 };
    } catch {
      check = null;
    }
    checks.set(schema, check);
  }
  return check;
}

const CALL = new Script('call()');
let work: (() => unknown) | null = null;
const context = createContext({ call: () => work?.() });

/** Runs synchronous work; throws when it takes too long. Only the engine itself can stop an expression that backtracks. */
function inTime<T>(run: () => T): T {
  work = run;
  try {
    return CALL.runInContext(context, { timeout: MAX_CHECK_MS }) as T;
  } finally {
    work = null;
  }
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    'input',
  );
}
