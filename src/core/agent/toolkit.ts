import { z } from 'zod';
import type { ToolSpec } from '../models/chat-model.js';
import type { SessionState, ToolsContext } from '../state/session-state.js';
import type { JsonRepair } from './loose-json.js';
import { BASIC_GROUP, type Tool, type ToolGroup } from './tool.js';

/** Schemas are compiled once per schema object; null marks one that cannot be compiled. */
const compiled = new WeakMap<object, z.ZodType | null>();

const specs = new WeakMap<Tool, ToolSpec>();

const MAX_ISSUES = 5;
const CUT_OFF = 'it was cut off. Call the tool again with the whole input, in smaller parts if it is long.';

export type ParsedInput =
  /** `repaired`: the text was not valid JSON, so what runs differs from what the model wrote, and is to be shown to whoever is asked. */
  { ok: true; input: unknown; repaired: boolean } | { ok: false; message: string };

export interface ToolkitOptions {
  /** Every group but `basic` that a tool names. */
  readonly groups?: readonly ToolGroup[];
  /** Names of tools that are not there for this session, whatever brings them. */
  readonly disabled?: readonly string[];
}

/** How a tool stands in a session. */
export interface ToolStanding {
  readonly tool: Tool;
  readonly group: string;
  /** False for one that was switched off for the session. */
  readonly is_enabled: boolean;
  /** False when its group is off: the model is not told of it. */
  readonly is_active: boolean;
}

/** The named tools of one reply. */
export class Toolkit {
  private readonly tools = new Map<string, Tool>();
  private readonly groups: ReadonlyMap<string, ToolGroup>;
  private readonly disabled: ReadonlySet<string>;
  /** What the model is told; a state that changes is another object. */
  private readonly offers = new WeakMap<SessionState, readonly ToolSpec[]>();

  constructor(
    tools: Iterable<Tool> = [],
    private readonly options: ToolkitOptions = {},
  ) {
    this.groups = new Map((options.groups ?? []).map((group) => [group.name, group]));
    this.disabled = new Set(options.disabled);
    for (const tool of tools) {
      if (this.tools.has(tool.name)) throw new Error(`Two tools are named "${tool.name}".`);
      const group = groupOf(tool);
      if (group !== BASIC_GROUP && !this.groups.has(group)) throw new Error(`There is no tool group "${group}".`);
      this.tools.set(tool.name, tool);
    }
  }

  /** Those of an inactive group too. */
  get(name: string): Tool | undefined {
    return this.disabled.has(name) ? undefined : this.tools.get(name);
  }

  isActive(tool: Tool, { groups }: ToolsContext): boolean {
    const group = groupOf(tool);
    return (
      group === BASIC_GROUP ||
      (Object.hasOwn(groups, group) ? groups[group] === true : this.groups.get(group)?.active === true)
    );
  }

  /** What the model is told of. */
  offered(state: SessionState): readonly ToolSpec[] {
    let offer = this.offers.get(state);
    if (offer === undefined) {
      offer = [...this.tools.values()]
        .filter((tool) => !this.disabled.has(tool.name) && this.isActive(tool, state.tools_context))
        .filter((tool) => tool.isOffered?.(state) ?? true)
        .map(specOf);
      this.offers.set(state, offer);
    }
    return offer;
  }

  standings(context: ToolsContext): ToolStanding[] {
    return [...this.tools.values()].map((tool) => ({
      tool,
      group: groupOf(tool),
      is_enabled: !this.disabled.has(tool.name),
      is_active: this.isActive(tool, context),
    }));
  }

  /** With further tools. */
  with(more: Iterable<Tool>): Toolkit {
    return new Toolkit([...this.tools.values(), ...more], this.options);
  }
}

/** The same object for the same tool, by which its tokens are counted once. */
function specOf(tool: Tool): ToolSpec {
  let spec = specs.get(tool);
  if (spec === undefined) {
    const { name, description, input_schema } = tool;
    specs.set(tool, (spec = { name, description, input_schema }));
  }
  return spec;
}

const groupOf = (tool: Tool): string => tool.group ?? BASIC_GROUP;

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
  const result = schemaOf(tool.input_schema)?.safeParse(input);
  if (result === undefined || result.success) return { ok: true, input, repaired };
  const issues = result.error.issues.slice(0, MAX_ISSUES).map((issue) => `${pathOf(issue.path)}: ${issue.message}`);
  const more = result.error.issues.length - issues.length;
  if (more > 0) issues.push(`and ${more} more`);
  return { ok: false, message: `The input of tool "${tool.name}" is invalid. ${issues.join('; ')}` };
}

function schemaOf(schema: Record<string, unknown>): z.ZodType | null {
  let type = compiled.get(schema);
  if (type === undefined) {
    try {
      type = z.fromJSONSchema(schema);
    } catch {
      type = null;
    }
    compiled.set(schema, type);
  }
  return type;
}

function pathOf(path: readonly PropertyKey[]): string {
  return path.reduce<string>(
    (text, key) => (typeof key === 'number' ? `${text}[${key}]` : `${text}.${String(key)}`),
    'input',
  );
}
