import { z } from 'zod';
import { PermissionRule } from '../messages/block.js';
import { isAbsolutePath } from './paths.js';

/**
 * - `default`: what is not known to be harmless, and no rule allows, is asked.
 * - `accept_edits`: as default, but edits inside the working directories are allowed.
 * - `explore`: only what changes nothing is allowed, everything else is denied; no rule and no question widens it.
 * - `bypass`: everything is allowed that no deny or ask rule names.
 * - `dont_ask`: as accept_edits, but what would be asked is denied.
 */
export const PermissionMode = z.enum(['default', 'accept_edits', 'explore', 'bypass', 'dont_ask']);
export type PermissionMode = z.infer<typeof PermissionMode>;

export type PermissionBehavior = PermissionRule['behavior'];

export const MAX_RULED_TOOLS = 200;
export const MAX_RULES_PER_TOOL = 200;
export const MAX_WORKING_DIRECTORIES = 32;

const AbsolutePath = z
  .string()
  .min(1)
  .max(1024)
  .refine(isAbsolutePath, 'must be an absolute path without hidden characters');

function rules(behavior: PermissionBehavior) {
  return z
    .record(z.string().min(1).max(256), z.array(PermissionRule).max(MAX_RULES_PER_TOOL))
    .refine((byTool) => Object.keys(byTool).length <= MAX_RULED_TOOLS, `at most ${MAX_RULED_TOOLS} tools`)
    .refine(
      (byTool) =>
        Object.entries(byTool).every(([tool, list]) =>
          list.every((rule) => rule.tool_name === tool && rule.behavior === behavior),
        ),
      `each rule stands under its own tool and says "${behavior}"`,
    );
}

export const WorkingDirectory = z.object({ path: AbsolutePath, source: z.string().max(64) });

/** What the calls of a session are judged by. The first working directory is where relative paths and shell commands begin. */
export const PermissionContext = z
  .object({
    mode: PermissionMode,
    working_directories: z
      .record(AbsolutePath, WorkingDirectory)
      .refine((it) => Object.keys(it).length <= MAX_WORKING_DIRECTORIES, `at most ${MAX_WORKING_DIRECTORIES}`)
      .refine((it) => Object.entries(it).every(([path, dir]) => dir.path === path), 'each stands under its own path'),
    allow_rules: rules('allow'),
    deny_rules: rules('deny'),
    ask_rules: rules('ask'),
  })
  .meta({ id: 'PermissionContext' });
export type PermissionContext = z.infer<typeof PermissionContext>;

/** A context without rules. `workdir` is an absolute path. */
export function permissionContext(mode: PermissionMode, workdir?: string): PermissionContext {
  const working_directories = workdir === undefined ? {} : { [workdir]: { path: workdir, source: 'session' } };
  return { mode, working_directories, allow_rules: {}, deny_rules: {}, ask_rules: {} };
}

/** The rules of one behaviour for one tool, oldest first. */
export function rulesOf(
  context: PermissionContext,
  behavior: PermissionBehavior,
  tool: string,
): readonly PermissionRule[] {
  const byTool = context[`${behavior}_rules`];
  return Object.hasOwn(byTool, tool) ? (byTool[tool] ?? []) : [];
}

/** The context with further rules; a rule that is already there (whatever its source) is not added again. */
export function withRules(context: PermissionContext, added: readonly PermissionRule[]): PermissionContext {
  const next = {
    ...context,
    allow_rules: { ...context.allow_rules },
    deny_rules: { ...context.deny_rules },
    ask_rules: { ...context.ask_rules },
  };
  for (const rule of added) {
    const present = rulesOf(next, rule.behavior, rule.tool_name);
    if (present.some((it) => contentOf(it) === contentOf(rule))) continue;
    // A tool may be named like a member of Object.prototype, `__proto__` among them.
    const value = [...present, rule];
    Object.defineProperty(next[`${rule.behavior}_rules`], rule.tool_name, {
      value,
      enumerable: true,
      configurable: true,
      writable: true,
    });
  }
  return next;
}

/** Null for a rule about the whole tool. */
export function contentOf(rule: PermissionRule): string | null {
  return rule.rule_content === '' ? null : rule.rule_content;
}

export function workingDirectories(context: PermissionContext): readonly string[] {
  return Object.keys(context.working_directories);
}
