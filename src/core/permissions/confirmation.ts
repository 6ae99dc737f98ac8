import type { PermissionRule } from '../messages/block.js';
import { evaluate } from './evaluate.js';
import { compileGlob } from './glob.js';
import {
  contentOf,
  MAX_RULES_PER_TOOL,
  MAX_RULED_TOOLS,
  type PermissionContext,
  rulesOf,
  withRules,
} from './permission-context.js';
import type { ShellParser } from './shell/shell-parser.js';
import type { ToolFacts } from './tool-facts.js';

export const MAX_CONFIRMED_RULES = 10;
const MAX_CONTENT = 1000;

/** What somebody said who was asked about a call and lets it run. */
export interface Confirmation {
  /** The tool of the call as the answer names it; must be the one that was asked about. */
  readonly tool_name?: string;
  /** JSON text that replaces the input of the call. */
  readonly edited_input?: string;
  /** Rules for calls to come. */
  readonly rules?: readonly PermissionRule[];
}

/** The call that was asked about; `input` is JSON text. */
export interface AskedCall {
  readonly name: string;
  readonly input: string;
}

export type InputParser = (text: string) => { ok: true; input: unknown } | { ok: false; message: string };

export type ConfirmationRefusal =
  | 'tool_name_changed'
  | 'input_invalid'
  | 'denied'
  | 'too_many_rules'
  | 'rule_for_other_tool'
  | 'rule_not_allow'
  | 'rule_invalid';

export type AppliedConfirmation =
  | {
      readonly ok: true;
      /** With the edited input, if there is one. */
      readonly call: AskedCall;
      readonly edited: boolean;
      /** With the rules of the answer. */
      readonly context: PermissionContext;
    }
  | { readonly ok: false; readonly code: ConfirmationRefusal; readonly message: string };

/**
 * Applies an answer to the call it is for, or says why nothing of it is applied. The input that will run is validated by `parse` and judged
 * again, since it may be another one and rules or mode may have changed: an answer overrules a question, never a denial. Its rules only
 * allow, and only the tool that was asked about.
 */
export function applyConfirmation(
  call: AskedCall,
  confirmation: Confirmation,
  facts: ToolFacts,
  context: PermissionContext,
  parse: InputParser,
  parser: ShellParser,
): AppliedConfirmation {
  const { tool_name = call.name, edited_input: text = call.input, rules = [] } = confirmation;
  if (tool_name !== call.name || facts.name !== call.name) {
    return refuse('tool_name_changed', 'A confirmation cannot name another tool.');
  }
  const refused = refusedRule(rules, facts, context);
  if (refused !== null) return refused;
  const parsed = parse(text);
  if (!parsed.ok) return refuse('input_invalid', parsed.message);
  // Whoever confirms was asked, so a session that does not ask cannot deny it for that.
  const mode = context.mode === 'dont_ask' ? 'default' : context.mode;
  const decision = evaluate(facts, parsed.input, { ...context, mode }, parser);
  if (decision.behavior === 'deny') return refuse('denied', decision.message);
  const added = rules.map((rule) => ({ ...rule, source: 'confirmation' }));
  const edited = text !== call.input;
  return { ok: true, call: { name: call.name, input: text }, edited, context: withRules(context, added) };
}

function refusedRule(
  rules: readonly PermissionRule[],
  facts: ToolFacts,
  context: PermissionContext,
): AppliedConfirmation | null {
  const tools = new Set([...Object.keys(context.allow_rules), facts.name]).size;
  const total = rulesOf(context, 'allow', facts.name).length + rules.length;
  if (rules.length === 0) return null;
  if (rules.length > MAX_CONFIRMED_RULES || total > MAX_RULES_PER_TOOL || tools > MAX_RULED_TOOLS) {
    return refuse('too_many_rules', `A confirmation adds at most ${MAX_CONFIRMED_RULES} rules.`);
  }
  for (const rule of rules) {
    if (rule.tool_name !== facts.name) return refuse('rule_for_other_tool', 'A rule speaks of another tool.');
    if (rule.behavior !== 'allow') return refuse('rule_not_allow', 'A confirmation adds rules that allow only.');
    if (!isUnderstood(contentOf(rule), facts)) return refuse('rule_invalid', 'A rule is too long or not understood.');
  }
  return null;
}

function isUnderstood(content: string | null, facts: ToolFacts): boolean {
  if (content === null) return true;
  if (content.length > MAX_CONTENT) return false;
  switch (facts.permission.kind) {
    case 'shell':
      return true;
    case 'file_read':
    case 'file_edit':
      return compileGlob(content) !== null;
    case 'generic':
    case 'session_state':
      return false;
  }
}

function refuse(code: ConfirmationRefusal, message: string): AppliedConfirmation {
  return { ok: false, code, message };
}
