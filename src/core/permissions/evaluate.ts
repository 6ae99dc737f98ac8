import type { PermissionRule } from '../messages/block.js';
import { FileChecker } from './file-checker.js';
import { GenericChecker, UnreadableChecker } from './generic-checker.js';
import type { PermissionChecker } from './permission-checker.js';
import { contentOf, type PermissionContext, rulesOf, workingDirectories } from './permission-context.js';
import { allow, ask, deny, immuneAsk, type CheckResult, type PermissionDecision } from './permission-decision.js';
import { ShellChecker } from './shell/shell-checker.js';
import type { ShellParser } from './shell/shell-parser.js';
import type { ToolFacts } from './tool-facts.js';

/** One call while it is judged. */
interface Judged {
  readonly facts: ToolFacts;
  readonly context: PermissionContext;
  readonly checker: PermissionChecker;
}

/** Null passes the call on to the next stage. */
type Stage = (call: Judged) => PermissionDecision | null;

const MAX_CONTENT = 1000;

const STAGES: readonly Stage[] = [denyRules, senseless, askRules, harmless, ownCheck, allowRules];

/**
 * Decides what becomes of one call: whether it may run, must be asked about, or is denied. Pure and synchronous; does not throw. `input` was
 * parsed and validated against the tool's schema.
 */
export function evaluate(
  facts: ToolFacts,
  input: unknown,
  context: PermissionContext,
  parser: ShellParser,
): PermissionDecision {
  const call = { facts, context, checker: checkerFor(facts, input, context, parser) };
  for (const stage of STAGES) {
    const decision = stage(call);
    if (decision !== null) return decision;
  }
  return byMode(call);
}

function checkerFor(
  facts: ToolFacts,
  input: unknown,
  context: PermissionContext,
  parser: ShellParser,
): PermissionChecker {
  const directories = workingDirectories(context);
  const { permission: target } = facts;
  switch (target.kind) {
    case 'generic':
      return new GenericChecker(facts.is_read_only);
    case 'session_state':
      return new GenericChecker(true);
    case 'shell': {
      const command = fieldOf(input, target.command);
      return typeof command === 'string' ? new ShellChecker(command, directories, parser) : new UnreadableChecker();
    }
    case 'file_edit': {
      const path = fieldOf(input, target.path);
      return typeof path === 'string' && path !== ''
        ? new FileChecker('edit', path, directories, facts.is_read_only)
        : new UnreadableChecker();
    }
    case 'file_read': {
      const path = readPath(fieldOf(input, target.path), fieldOf(input, target.pattern));
      return path === null ? new UnreadableChecker() : new FileChecker('read', path, directories, facts.is_read_only);
    }
  }
}

function fieldOf(input: unknown, field: string | undefined): unknown {
  if (field === undefined || typeof input !== 'object' || input === null || !Object.hasOwn(input, field))
    return undefined;
  return (input as Record<string, unknown>)[field];
}

/** Where a read begins: a pattern may climb out of its directory, or name another one. */
function readPath(path: unknown, pattern: unknown): string | null {
  if (path !== undefined && path !== null && typeof path !== 'string') return null;
  if (pattern !== undefined && pattern !== null && typeof pattern !== 'string') return null;
  const base = path == null || path === '' ? '.' : path;
  if (pattern == null) return base;
  if (pattern.startsWith('/')) return pattern;
  return `${base}/${pattern}`;
}

function denyRules({ facts, context, checker }: Judged): PermissionDecision | null {
  const rule = checker.forbiddenBy(rulesOf(context, 'deny', facts.name));
  return rule === null ? null : deny({ type: 'rule', rule }, `A rule denies ${nameOf(rule)}.`);
}

function senseless({ checker }: Judged): PermissionDecision | null {
  const refusal = checker.refusal();
  return refusal === null ? null : deny({ type: 'safety', code: refusal.code }, refusal.message);
}

/** In explore a question would be a way to change something, so what is not harmless goes on to be denied. */
function askRules(call: Judged): PermissionDecision | null {
  const { facts, context, checker } = call;
  const rule = checker.forbiddenBy(rulesOf(context, 'ask', facts.name));
  if (rule === null || (context.mode === 'explore' && !isHarmless(call))) return null;
  const message = `A rule has ${nameOf(rule)} confirmed.`;
  if (context.mode === 'dont_ask') return deny({ type: 'rule', rule }, message);
  // No allow rule would help: ask rules come first.
  return ask({ type: 'rule', rule }, message, []);
}

function harmless(call: Judged): PermissionDecision | null {
  return isHarmless(call) ? allow({ type: 'harmless' }, 'The call changes nothing.') : null;
}

function ownCheck({ facts, context, checker }: Judged): PermissionDecision | null {
  const { mode } = context;
  if (mode === 'explore') return null;
  const result = checker.check(mode);
  switch (result.behavior) {
    case 'passthrough':
      return null;
    case 'allow':
      return facts.starts_work ? null : allow(result.reason, result.message);
    case 'ask':
      if (mode === 'dont_ask') return deny({ type: 'safety', code: result.code }, result.message);
      if (mode === 'bypass' && !maySlipThrough(result, facts, context)) return null;
      return immuneAsk(result.code, result.message);
  }
}

/** A rule about a part of the tool may name something that the call hides: then bypass does not decide either. */
function maySlipThrough(
  result: CheckResult & { behavior: 'ask' },
  facts: ToolFacts,
  context: PermissionContext,
): boolean {
  const rules = [...rulesOf(context, 'deny', facts.name), ...rulesOf(context, 'ask', facts.name)];
  return result.opaque && rules.some((rule) => contentOf(rule) !== null);
}

function allowRules({ facts, context, checker }: Judged): PermissionDecision | null {
  if (context.mode === 'explore') return null;
  const rule = checker.allowedBy(rulesOf(context, 'allow', facts.name), context.mode);
  return rule === null ? null : allow({ type: 'rule', rule }, `A rule allows ${nameOf(rule)}.`);
}

function byMode(call: Judged): PermissionDecision {
  const { mode } = call.context;
  const reason = { type: 'mode', mode } as const;
  const { message } = call.checker.check(mode);
  switch (mode) {
    case 'default':
    case 'accept_edits':
      return ask(reason, message, suggestions(call));
    case 'explore':
      return deny(reason, `${message} This session only explores.`);
    case 'dont_ask':
      return deny(reason, `${message} In this session nobody is asked.`);
    case 'bypass':
      return allow(reason, 'The session allows everything that no rule names.');
  }
}

function isHarmless({ facts, checker }: Judged): boolean {
  return !facts.starts_work && checker.isHarmless();
}

function suggestions({ facts, checker }: Judged): PermissionRule[] {
  const contents = checker.suggestions();
  if (contents.some((content) => content !== null && content.length > MAX_CONTENT)) return [];
  return contents.map((rule_content) => ({
    tool_name: facts.name,
    rule_content,
    behavior: 'allow',
    source: 'suggestion',
  }));
}

function nameOf(rule: PermissionRule): string {
  const content = contentOf(rule);
  return content === null ? `"${rule.tool_name}"` : `"${rule.tool_name}" with "${content}"`;
}
