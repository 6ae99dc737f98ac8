import type { PermissionRule } from '../messages/block.js';
import { absolutePatterns } from './file-checker.js';
import { isInside, normalisePath } from './paths.js';
import {
  contentOf,
  MAX_RULES_PER_TOOL,
  MAX_WORKING_DIRECTORIES,
  type PermissionBehavior,
  type PermissionContext,
  PermissionMode,
  rulesOf,
  withRules,
} from './permission-context.js';

const MAX_CONTENT = 1000;

/** Each mode allows at most what those behind it allow. `dont_ask` and `default` are not comparable: the one edits, the other asks. */
const AT_MOST: Record<PermissionMode, readonly PermissionMode[]> = {
  explore: ['explore', 'default', 'dont_ask', 'accept_edits', 'bypass'],
  default: ['default', 'accept_edits', 'bypass'],
  dont_ask: ['dont_ask', 'accept_edits', 'bypass'],
  accept_edits: ['accept_edits', 'bypass'],
  bypass: ['bypass'],
};

/**
 * The permissions of a worker that may do at most what its leader may, and at most what its own would let it: for every call `evaluate` says of
 * the result what it says of both, or something stricter (deny before ask before allow). A relative path means a file below the first working
 * directory, so of relative paths this holds for the file that is meant.
 * - mode: the widest that is as strict as both; of `default` and `dont_ask` that is `explore`.
 * - deny and ask rules: those of both. Those that name files by the working directories of their owner say so in full.
 * - working directories: what lies in those of both.
 * - allow rules: those that both have. Only when both work in the same directories: what protects a directory, and what a rule without a root
 *   means, depends on them.
 *
 * It has at most as many tools with rules as both together, which may be more than a context can be stored with.
 */
export function narrowed(worker: PermissionContext, leader: PermissionContext): PermissionContext {
  const working_directories = commonDirectories(worker, leader);
  const both = [worker, leader];
  const mode = PermissionMode.options
    .filter((it) => both.every((other) => AT_MOST[it].includes(other.mode)))
    .reduce((widest, it) => (AT_MOST[it].length < AT_MOST[widest].length ? it : widest));
  const asksNobody = mode !== 'dont_ask' && both.some((it) => it.mode === 'dont_ask');
  const directories = Object.keys(working_directories);
  const deny = both.flatMap((it) => forbidding(it, 'deny', directories));
  const ask = both.flatMap((it) => forbidding(it, 'ask', directories));
  const asked = asksNobody ? ask.map((rule) => ({ ...rule, behavior: 'deny' as const })) : ask;
  const allow = sameDirectories(worker, leader) ? [...covered(worker, leader), ...covered(leader, worker)] : [];
  const bare = { mode, working_directories, allow_rules: {}, deny_rules: {}, ask_rules: {} };
  return bounded(withRules(bare, [...deny, ...asked, ...allow]));
}

/** Of each pair the one that lies in the other: also those within another, since a directory itself is guarded more than what is in it. */
function commonDirectories(
  worker: PermissionContext,
  leader: PermissionContext,
): PermissionContext['working_directories'] {
  const [own, others] = [worker.working_directories, leader.working_directories];
  const common = [
    ...Object.values(own).filter(({ path }) => liesIn(path, Object.keys(others))),
    ...Object.values(others).filter(({ path }) => liesIn(path, Object.keys(own))),
  ];
  // The worker's come first, so that it begins where it would have.
  const byPath = new Map<string, (typeof common)[number]>();
  for (const directory of common) {
    const path = normalOf(directory.path);
    if (!byPath.has(path)) byPath.set(path, directory);
  }
  // What goes is never within one that stays.
  while (byPath.size > MAX_WORKING_DIRECTORIES) {
    const outermost = [...byPath.keys()].findLast(
      (path) => ![...byPath.keys()].some((other) => other !== path && isInside(path, [other])),
    );
    byPath.delete(outermost ?? '');
  }
  return Object.fromEntries([...byPath.values()].map((directory) => [directory.path, directory]));
}

function sameDirectories(one: PermissionContext, other: PermissionContext): boolean {
  const paths = (it: PermissionContext) => Object.keys(it.working_directories).map(normalOf).sort();
  return JSON.stringify(paths(one)) === JSON.stringify(paths(other));
}

const normalOf = (path: string): string => normalisePath(path, undefined) ?? path;

const liesIn = (path: string, directories: readonly string[]): boolean => isInside(normalOf(path), directories);

/** The deny or ask rules of a context, for use in other working directories. */
function forbidding(
  context: PermissionContext,
  behavior: 'deny' | 'ask',
  directories: readonly string[],
): readonly PermissionRule[] {
  const own = Object.keys(context.working_directories).filter((path) => !directories.includes(path));
  return allRules(context, behavior).flatMap((rule) => {
    const content = contentOf(rule);
    if (content === null || content.startsWith('/') || content.startsWith('**')) return [rule];
    // A rule for another kind of tool becomes one that says next to nothing.
    const rooted = absolutePatterns(content, own).map((pattern) => ({
      ...rule,
      rule_content: pattern.length > MAX_CONTENT ? null : pattern,
    }));
    return [rule, ...rooted];
  });
}

/** The allow rules of one that the other has too, or has a wider one for. */
function covered(context: PermissionContext, other: PermissionContext): readonly PermissionRule[] {
  return allRules(context, 'allow').filter(
    (rule) =>
      other.mode === 'bypass' ||
      rulesOf(other, 'allow', rule.tool_name).some((it) => [null, contentOf(rule)].includes(contentOf(it))),
  );
}

function allRules(context: PermissionContext, behavior: PermissionBehavior): readonly PermissionRule[] {
  return Object.values(context[`${behavior}_rules`]).flat();
}

/** Too many rules for a tool forbid all of it, or allow fewer of its calls. */
function bounded(context: PermissionContext): PermissionContext {
  const few = (rules: readonly PermissionRule[], kept: (rules: readonly PermissionRule[]) => PermissionRule[]) =>
    rules.length > MAX_RULES_PER_TOOL ? kept(rules) : [...rules];
  const map = (
    byTool: Readonly<Record<string, PermissionRule[]>>,
    kept: (rules: readonly PermissionRule[]) => PermissionRule[],
  ) => Object.fromEntries(Object.entries(byTool).map(([tool, rules]) => [tool, few(rules, kept)]));
  const whole = (rules: readonly PermissionRule[]) =>
    rules.slice(0, 1).map((rule) => ({ ...rule, rule_content: null }));
  return {
    ...context,
    allow_rules: map(context.allow_rules, (rules) => rules.slice(0, MAX_RULES_PER_TOOL)),
    deny_rules: map(context.deny_rules, whole),
    ask_rules: map(context.ask_rules, whole),
  };
}
