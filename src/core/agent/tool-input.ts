import type { JsonRepair } from './loose-json.js';
import { schemaIssues } from './schema-check.js';
import type { Tool } from './tool.js';

/** How deep an input may be nested: what is stored and passed on with it is walked by recursion. */
export const MAX_INPUT_DEPTH = 64;
const MAX_ISSUES = 5;
const CUT_OFF = 'it was cut off. Call the tool again with the whole input, in smaller parts if it is long.';

export type ParsedInput =
  /** `repaired`: the text was not valid JSON, so what runs differs from what the model wrote, and is to be shown to whoever is asked. */
  { ok: true; input: unknown; repaired: boolean } | { ok: false; message: string };

/**
 * Parses the JSON text of a call and validates it. A schema with keywords that cannot be compiled is not enforced here: it is the tool's
 * own. The value is passed on as the model wrote it (no defaults filled in, nothing coerced), because approvals are bound to it. Text that is
 * not JSON may be repaired when it is one whole object; what was cut off, by the model's limit of tokens, is never completed: it is half of a
 * command, or of a file.
 */
export function parseToolInput(tool: Tool, text: string, repair?: JsonRepair): ParsedInput {
  let input: unknown;
  let repaired = false;
  try {
    input = text.trim() === '' ? {} : JSON.parse(text);
  } catch (error) {
    const found = repair?.(text);
    if (found?.kind !== 'object') {
      const why = found?.kind === 'cut_off' ? CUT_OFF : (error as Error).message;
      return { ok: false, message: `The input of tool "${tool.name}" is not valid JSON: ${why}` };
    }
    input = JSON.parse(found.json);
    repaired = true;
  }
  if (text.length > MAX_INPUT_DEPTH && isDeeper(input, MAX_INPUT_DEPTH)) {
    return { ok: false, message: `The input of tool "${tool.name}" is nested deeper than ${MAX_INPUT_DEPTH} levels.` };
  }
  const found = schemaIssues(tool.input_schema, input, text.length);
  if (found.length === 0) return { ok: true, input, repaired };
  const issues = found.slice(0, MAX_ISSUES);
  if (found.length > MAX_ISSUES) issues.push(`and ${found.length - MAX_ISSUES} more`);
  return { ok: false, message: `The input of tool "${tool.name}" is invalid. ${issues.join('; ')}` };
}

function isDeeper(value: unknown, max: number): boolean {
  let level = [value].filter(isNested);
  for (let depth = 0; level.length > 0; depth += 1) {
    if (depth === max) return true;
    level = level.flatMap((it) => Object.values(it).filter(isNested));
  }
  return false;
}

const isNested = (value: unknown): value is object => typeof value === 'object' && value !== null;
