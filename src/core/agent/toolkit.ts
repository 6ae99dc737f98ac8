import type { ToolSpec } from '../models/chat-model.js';
import type { SessionState, ToolsContext } from '../state/session-state.js';
import { STRUCTURED_OUTPUT_TOOL } from './structured-output.js';
import { BASIC_GROUP, type Tool, type ToolGroup } from './tool.js';

const specs = new WeakMap<Tool, ToolSpec>();

export interface ToolkitOptions {
  /** Every group but `basic` that a tool names. */
  readonly groups?: readonly ToolGroup[];
  /** Names of tools that are not there for this session, whatever brings them; that for structured output cannot be missed. */
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
    this.disabled = new Set(options.disabled?.filter((name) => name !== STRUCTURED_OUTPUT_TOOL));
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
