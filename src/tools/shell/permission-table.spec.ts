import { beforeAll, describe, expect, it } from '@jest/globals';
import type { PermissionRule } from '../../core/messages/block.js';
import { withRules } from '../../core/permissions/permission-context.js';
import type { ShellParser } from '../../core/permissions/shell/shell-parser.js';
import type { ToolFacts } from '../../core/permissions/tool-facts.js';
import { cellsOf } from '../../core/testing/permission-cells.js';
import { loadShellParser } from './tree-sitter-shell-parser.js';

type Rule = 'none' | 'allow' | 'ask' | 'deny' | 'allow+ask' | 'allow+deny' | 'ask+deny';
/** In the order of the modes: default, accept_edits, explore, bypass, dont_ask. */
type Row = [default_: string, accept_edits: string, explore: string, bypass: string, dont_ask: string];

interface Kind {
  readonly what: string;
  readonly facts: Partial<ToolFacts> & Pick<ToolFacts, 'permission'>;
  readonly input: unknown;
  /** Content of the rules that name this call. */
  readonly content: string | null;
  readonly cells: Record<Rule, Row>;
}

const SHELL = { kind: 'shell', command: 'command' } as const;
const READ = { kind: 'file_read', path: 'file_path' } as const;
const EDIT = { kind: 'file_edit', path: 'file_path' } as const;
const GENERIC = { kind: 'generic' } as const;

/** What changes nothing: only deny and ask rules stand in its way. */
const HARMLESS: Record<Rule, Row> = {
  none: ['allow', 'allow', 'allow', 'allow', 'allow'],
  allow: ['allow', 'allow', 'allow', 'allow', 'allow'],
  ask: ['ask', 'ask', 'ask', 'ask', 'deny'],
  deny: ['deny', 'deny', 'deny', 'deny', 'deny'],
  'allow+ask': ['ask', 'ask', 'ask', 'ask', 'deny'],
  'allow+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
  'ask+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
};

/** What may change something, and of which no more is known. */
const PLAIN: Record<Rule, Row> = {
  none: ['ask', 'ask', 'deny', 'allow', 'deny'],
  allow: ['allow', 'allow', 'deny', 'allow', 'allow'],
  ask: ['ask', 'ask', 'deny', 'ask', 'deny'],
  deny: ['deny', 'deny', 'deny', 'deny', 'deny'],
  'allow+ask': ['ask', 'ask', 'deny', 'ask', 'deny'],
  'allow+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
  'ask+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
};

/** Edits in the working directories. */
const INSIDE: Record<Rule, Row> = {
  none: ['ask', 'allow', 'deny', 'allow', 'allow'],
  allow: ['allow', 'allow', 'deny', 'allow', 'allow'],
  ask: ['ask', 'ask', 'deny', 'ask', 'deny'],
  deny: ['deny', 'deny', 'deny', 'deny', 'deny'],
  'allow+ask': ['ask', 'ask', 'deny', 'ask', 'deny'],
  'allow+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
  'ask+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
};

/** What no allow rule answers; `!` marks it. */
const IMMUNE: Record<Rule, Row> = {
  none: ['ask!', 'ask!', 'deny', 'allow', 'deny'],
  allow: ['ask!', 'ask!', 'deny', 'allow', 'deny'],
  ask: ['ask', 'ask', 'deny', 'ask', 'deny'],
  deny: ['deny', 'deny', 'deny', 'deny', 'deny'],
  'allow+ask': ['ask', 'ask', 'deny', 'ask', 'deny'],
  'allow+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
  'ask+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
};

/** An input that does not say what it touches. */
const UNREADABLE: Record<Rule, Row> = {
  none: ['deny', 'deny', 'deny', 'deny', 'deny'],
  allow: ['deny', 'deny', 'deny', 'deny', 'deny'],
  ask: ['deny', 'deny', 'deny', 'deny', 'deny'],
  deny: ['deny', 'deny', 'deny', 'deny', 'deny'],
  'allow+ask': ['deny', 'deny', 'deny', 'deny', 'deny'],
  'allow+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
  'ask+deny': ['deny', 'deny', 'deny', 'deny', 'deny'],
};

const file = (file_path: string) => ({ file_path });
const command = (text: string) => ({ command: text });

const KINDS: Kind[] = [
  { what: 'a generic tool', facts: { permission: GENERIC }, input: {}, content: null, cells: PLAIN },
  {
    what: 'a generic read-only tool',
    facts: { permission: GENERIC, is_read_only: true },
    input: {},
    content: null,
    cells: HARMLESS,
  },
  {
    what: 'a tool that starts work and says it is read-only',
    facts: { permission: GENERIC, is_read_only: true, starts_work: true },
    input: {},
    content: null,
    cells: PLAIN,
  },
  {
    what: 'a planning tool',
    facts: { permission: { kind: 'session_state' } },
    input: {},
    content: null,
    cells: HARMLESS,
  },
  {
    what: 'a planning tool that starts work',
    facts: { permission: { kind: 'session_state' }, starts_work: true },
    input: {},
    content: null,
    cells: PLAIN,
  },
  {
    what: 'a harmless command',
    facts: { permission: SHELL },
    input: command('ls src'),
    content: 'ls:*',
    cells: HARMLESS,
  },
  { what: 'a command', facts: { permission: SHELL }, input: command('npm test'), content: 'npm test:*', cells: PLAIN },
  {
    what: 'an editing command',
    facts: { permission: SHELL },
    input: command('touch x'),
    content: 'touch:*',
    cells: INSIDE,
  },
  {
    what: 'a dangerous command',
    facts: { permission: SHELL },
    input: command('rm -rf x'),
    content: 'rm:*',
    cells: IMMUNE,
  },
  { what: 'a command without a command', facts: { permission: SHELL }, input: {}, content: null, cells: UNREADABLE },
  {
    what: 'a read inside',
    facts: { permission: READ, is_read_only: true },
    input: file('/ws/src/a.ts'),
    content: '/ws/src/**',
    cells: HARMLESS,
  },
  {
    what: 'a read outside',
    facts: { permission: READ, is_read_only: true },
    input: file('/etc/passwd'),
    content: '/etc/*',
    cells: PLAIN,
  },
  {
    what: 'a read of a secret inside',
    facts: { permission: READ, is_read_only: true },
    input: file('/ws/.env'),
    content: '/ws/.env',
    cells: PLAIN,
  },
  {
    what: 'a read that is not read-only',
    facts: { permission: READ },
    input: file('/ws/src/a.ts'),
    content: 'src/**',
    cells: PLAIN,
  },
  { what: 'an edit inside', facts: { permission: EDIT }, input: file('/ws/a.ts'), content: '**/*.ts', cells: INSIDE },
  { what: 'an edit outside', facts: { permission: EDIT }, input: file('/opt/a.ts'), content: '/opt/**', cells: PLAIN },
  {
    what: 'an edit of a guarded file',
    facts: { permission: EDIT },
    input: file('/ws/.git/config'),
    content: '/ws/**',
    cells: IMMUNE,
  },
  {
    what: 'an edit that says it is read-only',
    facts: { permission: EDIT, is_read_only: true },
    input: file('/ws/a.ts'),
    content: '/ws/*',
    cells: INSIDE,
  },
  { what: 'an edit of nothing', facts: { permission: EDIT }, input: {}, content: null, cells: UNREADABLE },
];

let parser: ShellParser;
beforeAll(async () => {
  parser = await loadShellParser();
});

describe('the decision on', () => {
  const table = KINDS.flatMap((kind) =>
    (Object.entries(kind.cells) as [Rule, Row][]).map(([rule, row]) => ({ ...kind, rule, row })),
  );

  function row(kind: Kind, rule: Rule, tools: string[], rule_content: string | null): string[] {
    const facts: ToolFacts = { name: 'Tool', is_read_only: false, starts_work: false, ...kind.facts };
    const behaviors = rule === 'none' ? [] : (rule.split('+') as PermissionRule['behavior'][]);
    const rules = tools.flatMap((tool_name) =>
      behaviors.map((behavior) => ({ tool_name, rule_content, behavior, source: 'test' })),
    );
    return Object.values(cellsOf(facts, kind.input, parser, (context) => withRules(context, rules)));
  }

  it.each(table)('$what with rules: $rule', ({ rule, row: expected, ...kind }) => {
    expect(row(kind, rule, ['Tool'], kind.content)).toEqual(expected);
    expect(row(kind, rule, ['Tool'], null)).toEqual(expected);
    expect(row(kind, rule, ['Tool'], '')).toEqual(expected);
  });

  it.each(table)('$what takes no notice of rules for others: $rule', ({ rule, row: _, ...kind }) => {
    expect(row(kind, rule, ['Toolbox', 'tool', 'constructor', '__proto__'], kind.content)).toEqual(kind.cells.none);
  });
});
