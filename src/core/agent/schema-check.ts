import { createContext, Script } from 'node:vm';
import { z } from 'zod';

/** A check that takes longer is stopped, and what it is about refused for a while: a turn may hold hundreds of calls. */
const MAX_CHECK_MS = 100;
const PAUSE_MS = 60_000;
/** From this length on an input is checked under the clock, whatever its schema says. */
const LONG_INPUT = 10_000;
/** With these the time is no longer in proportion to schema and input: expressions that backtrack, branches and lists of types that multiply. */
const COSTLY = /"(?:pattern|patternProperties|\$ref|\$dynamicRef)":|"type":\[/;

const NOT_CHECKED = 'input: it cannot be checked against its schema in reasonable time';

interface Check {
  /** Absent when it could not be compiled in time. */
  readonly type?: z.ZodType;
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
  const { type, isCostly, pausedUntil } = check;
  if (type === undefined || performance.now() < pausedUntil) return [NOT_CHECKED];
  const parse = () => type.safeParse(value);
  try {
    const result = isCostly || length >= LONG_INPUT ? inTime(parse) : parse();
    return result.success ? [] : result.error.issues.map((issue) => `${pathOf(issue.path)}: ${issue.message}`);
  } catch {
    // Out of time, or a schema that refers to itself without end.
    check.pausedUntil = pauseEnd();
    return [NOT_CHECKED];
  }
}

/** Whether values can be checked against the schema at all. */
export function isCheckable(schema: Record<string, unknown>): boolean {
  return checkOf(schema)?.type !== undefined;
}

function checkOf(schema: Record<string, unknown>): Check | null {
  const known = checks.get(schema);
  if (known === null || known?.type !== undefined) return known;
  if (known !== undefined && performance.now() < known.pausedUntil) return known;
  const check = compiled(schema);
  checks.set(schema, check);
  return check;
}

function compiled(schema: Record<string, unknown>): Check | null {
  try {
    const text = JSON.stringify(schema);
    const isCostly = COSTLY.test(text);
    // A registry of its own: what is in that of all schemas under an id is never forgotten.
    const compile = () => z.fromJSONSchema(schema, { registry: z.registry() });
    const type = isCostly || text.length >= LONG_INPUT ? inTime(compile) : compile();
    return { type, isCostly, pausedUntil: 0 };
  } catch (error) {
    return isTimeout(error) ? { isCostly: true, pausedUntil: pauseEnd() } : null;
  }
}

const pauseEnd = (): number => performance.now() + PAUSE_MS;

/** Made in the context of the script, it is no instance of the Error of this one. */
const isTimeout = (error: unknown): boolean =>
  typeof error === 'object' && error !== null && 'code' in error && error.code === 'ERR_SCRIPT_EXECUTION_TIMEOUT';

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
