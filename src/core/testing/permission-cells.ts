import { evaluate } from '../permissions/evaluate.js';
import { type PermissionContext, PermissionMode, permissionContext } from '../permissions/permission-context.js';
import type { ShellParser } from '../permissions/shell/shell-parser.js';
import type { ToolFacts } from '../permissions/tool-facts.js';

export const bash: ToolFacts = {
  name: 'Bash',
  is_read_only: false,
  starts_work: false,
  permission: { kind: 'shell', command: 'command' },
};

/** What a call gets in one mode after another; `!` marks an ask that no rule answers. */
export type Cells = Record<PermissionMode, string>;

/** What each class of calls gets without any rule. */
export const CELLS: Record<'harmless' | 'edit' | 'ask' | 'immune', Cells> = {
  harmless: { default: 'allow', accept_edits: 'allow', explore: 'allow', bypass: 'allow', dont_ask: 'allow' },
  edit: { default: 'ask', accept_edits: 'allow', explore: 'deny', bypass: 'allow', dont_ask: 'allow' },
  ask: { default: 'ask', accept_edits: 'ask', explore: 'deny', bypass: 'allow', dont_ask: 'deny' },
  immune: { default: 'ask!', accept_edits: 'ask!', explore: 'deny', bypass: 'allow', dont_ask: 'deny' },
};

/** The decisions on one call in `/ws`; `change` puts rules into the context. */
export function cellsOf(
  facts: ToolFacts,
  input: unknown,
  parser: ShellParser,
  change: (context: PermissionContext) => PermissionContext = (it) => it,
): Cells {
  const cells = PermissionMode.options.map((mode) => {
    const { behavior, bypass_immune } = evaluate(facts, input, change(permissionContext(mode, '/ws')), parser);
    return [mode, bypass_immune ? `${behavior}!` : behavior];
  });
  return Object.fromEntries(cells) as Cells;
}
