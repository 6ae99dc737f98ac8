import { evaluate } from './evaluate.js';
import { type PermissionContext, withRules } from './permission-context.js';
import type { PermissionDecision } from './permission-decision.js';
import type { ShellParser } from './shell/shell-parser.js';
import type { ToolFacts } from './tool-facts.js';

/** One call of a concurrent batch, with what was decided on it alone. */
export interface JudgedCall {
  readonly id: string;
  readonly facts: ToolFacts;
  readonly input: unknown;
  readonly decision: PermissionDecision;
}

/**
 * The calls that need not be asked about now: what an earlier one suggests would allow them. They stay pending and are judged again after
 * the answers, which may not have taken the suggestion. Immune asks, and asks by a rule, are always put.
 */
export function coveredByEarlier(
  calls: readonly JudgedCall[],
  context: PermissionContext,
  parser: ShellParser,
): ReadonlySet<string> {
  const covered = new Set<string>();
  let assumed = context;
  for (const { id, facts, input, decision } of calls) {
    if (decision.behavior !== 'ask' || decision.bypass_immune) continue;
    if (assumed !== context && evaluate(facts, input, assumed, parser).behavior === 'allow') covered.add(id);
    else if (decision.suggested_rules.length > 0) assumed = withRules(assumed, decision.suggested_rules);
  }
  return covered;
}
