import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PermissionRule } from '../../core/messages/block.js';
import { evaluate } from '../../core/permissions/evaluate.js';
import { narrowed } from '../../core/permissions/narrow.js';
import {
  PermissionContext,
  permissionContext,
  PermissionMode,
  withRules,
} from '../../core/permissions/permission-context.js';
import type { ShellParser } from '../../core/permissions/shell/shell-parser.js';
import type { ToolFacts } from '../../core/permissions/tool-facts.js';
import { bash } from '../../core/testing/permission-cells.js';
import { loadShellParser } from './tree-sitter-shell-parser.js';

const RANK = { deny: 0, ask: 1, allow: 2 };
const PATHS = ['/ws', '/ws/sub', '/ws/sub/deep', '/data', '/data/x', '/', '/etc'];
const FILES = ['/ws/a.ts', '/ws/sub/a.ts', '/ws/sub/deep', '/data/x/b', '/etc/passwd', '/ws/.env', '/ws/sub', '/ws'];
const RELATIVE = ['a.ts', 'sub/a.ts', '../data/x/b', '.', 'deep/../a.ts', '.git/config'];

const fact = (name: string, rest: Partial<ToolFacts>): ToolFacts => ({ ...bash, name, ...rest });
const TOOLS: readonly ToolFacts[] = [
  bash,
  fact('Read', { is_read_only: true, permission: { kind: 'file_read', path: 'path', pattern: 'pattern' } }),
  fact('Edit', { permission: { kind: 'file_edit', path: 'path' } }),
  fact('Other', { permission: { kind: 'generic' } }),
  fact('Other', { is_read_only: true, permission: { kind: 'generic' } }),
  fact('Other', { is_read_only: true, starts_work: true, permission: { kind: 'generic' } }),
  fact('Plan', { permission: { kind: 'session_state' } }),
];

const commandsOn = (file: string): string[] => [
  `cat ${file}`,
  `ls ${file} && npm test`,
  `touch ${file}`,
  `rm ${file}`,
  `rm -r ${file}`,
  `rm -rf ${file}`,
  `mv ${file} /ws/sub/new`,
  `cp /ws/a.ts ${file}`,
  `echo x > ${file}`,
  `cd ${file} && touch /ws/sub/a`,
  `sed -i s/a/b/ ${file}`,
  `$(cat ${file})`,
  `sudo rm ${file}`,
];
const inputsOn = (files: readonly string[]): object[] => [
  ...files.flatMap((path) => [{ path }, { path, pattern: '*.ts' }]),
  ...files.flatMap(commandsOn).map((command) => ({ command })),
  ...['ls', 'npm test', 'git status', 'git push', 'rm -rf /', 'x=1', '', 'echo hi | cat'].map((command) => ({
    command,
  })),
  {},
];
const ABSOLUTE = inputsOn(FILES);
const ANY = inputsOn([...FILES, ...RELATIVE]);

const content = fc.constantFrom(
  ...[null, '', 'npm:*', 'git *', 'rm:*', 'rm *', 'cat', 'touch:*', 'ls *', 'sudo'],
  ...['**', '*.ts', 'sub/**', './a.ts', '/ws/**', '/ws/sub/*', '/data/**', '**/*.ts', 'a.ts', '!(x)'],
);
const rule: fc.Arbitrary<PermissionRule> = fc.record({
  tool_name: fc.constantFrom('Bash', 'Read', 'Edit', 'Other', 'Plan', '__proto__'),
  rule_content: content,
  behavior: fc.constantFrom('allow' as const, 'allow' as const, 'ask' as const, 'deny' as const),
  source: fc.constant('test'),
});
const rules = fc.array(rule, { maxLength: 8 });
const mode = fc.constantFrom(...PermissionMode.options);
const directories = fc.uniqueArray(fc.constantFrom(...PATHS), { maxLength: 3 });

const contextOf = (of: PermissionMode, paths: readonly string[], given: readonly PermissionRule[]): PermissionContext =>
  withRules(
    {
      ...permissionContext(of),
      working_directories: Object.fromEntries(paths.map((path) => [path, { path, source: 'session' }])),
    },
    given,
  );

/** Not the first working directory, which a read without a path begins in. */
const namesFile = (tool: ToolFacts, input: object): boolean => tool.permission.kind !== 'file_read' || 'path' in input;

let parser: ShellParser;
beforeAll(async () => {
  parser = await loadShellParser();
});

/** What `narrowed` got wrong, for a call of every tool with every input. */
function widened(
  worker: PermissionContext,
  leader: PermissionContext,
  inputs: readonly object[],
  isMeant: (tool: ToolFacts, input: object) => boolean = () => true,
): unknown[] {
  const both = narrowed(worker, leader);
  const found: unknown[] = [];
  for (const tool of TOOLS) {
    for (const input of inputs) {
      if (!isMeant(tool, input)) continue;
      const of = (context: PermissionContext) => RANK[evaluate(tool, input, context, parser).behavior];
      if (of(both) > Math.min(of(leader), of(worker))) found.push([tool.name, input, both]);
    }
  }
  return found;
}

describe('a worker of a leader', () => {
  it('may do no more than either, in the same directories', () => {
    fc.assert(
      fc.property(mode, mode, directories, fc.nat(7), rules, rules, (own, its, paths, slice, first, second) => {
        const inputs = ANY.filter((_, at) => at % 8 === slice);
        const shared = first.slice(0, 3);
        const [worker, leader] = [contextOf(own, paths, first), contextOf(its, paths, [...second, ...shared])];
        expect(widened(worker, leader, inputs)).toEqual([]);
      }),
      { numRuns: 400 },
    );
  });

  it('may do no more than either with the files both mean, in other directories', () => {
    fc.assert(
      fc.property(
        fc.tuple(mode, mode),
        fc.tuple(directories, directories),
        fc.nat(7),
        fc.tuple(rules, rules),
        ([own, its], [here, there], slice, [first, second]) => {
          const inputs = ABSOLUTE.filter((_, at) => at % 8 === slice);
          const [worker, leader] = [contextOf(own, here, first), contextOf(its, there, second)];
          expect(widened(worker, leader, inputs, namesFile)).toEqual([]);
        },
      ),
      { numRuns: 400 },
    );
  });

  it.each<[PermissionMode, PermissionMode, PermissionMode]>([
    ['default', 'default', 'default'],
    ['bypass', 'accept_edits', 'accept_edits'],
    ['dont_ask', 'accept_edits', 'dont_ask'],
    ['accept_edits', 'default', 'default'],
    ['dont_ask', 'default', 'explore'],
    ['bypass', 'explore', 'explore'],
  ])('in %s and %s works in %s', (one, other, both) => {
    expect(narrowed(permissionContext(one), permissionContext(other)).mode).toBe(both);
    expect(narrowed(permissionContext(other), permissionContext(one)).mode).toBe(both);
  });

  it('keeps what both allow, and is not narrowed by itself', () => {
    const npm = { tool_name: 'Bash', rule_content: 'npm:*', behavior: 'allow', source: 'a' } as const;
    const git = { ...npm, rule_content: 'git *' };
    const whole = { ...npm, rule_content: null };
    const worker = contextOf('default', ['/ws'], [npm, git]);
    expect(narrowed(worker, worker)).toEqual(worker);
    expect(narrowed(worker, contextOf('default', ['/ws/'], [whole]))).toEqual(worker);
    expect(narrowed(worker, contextOf('bypass', ['/ws'], []))).toEqual(worker);
    expect(narrowed(worker, contextOf('default', ['/ws'], [npm])).allow_rules).toEqual({ Bash: [npm] });
    expect(narrowed(worker, contextOf('default', ['/ws', '/data'], [npm])).allow_rules).toEqual({});
  });

  it('is denied the files that a rule names by the directories of its owner', () => {
    const edit = fact('Edit', { permission: { kind: 'file_edit', path: 'path' } });
    const rule = { tool_name: 'Edit', rule_content: './*.ts', behavior: 'deny', source: 'test' } as const;
    const [here, there] = [contextOf('bypass', ['/ws/sub'], []), contextOf('bypass', ['/ws'], [rule])];
    const behaviors = [narrowed(here, there), narrowed(there, here)].map((both) =>
      ['/ws/a.ts', '/ws/sub/a.ts', '/a.ts'].map((path) => evaluate(edit, { path }, both, parser).behavior),
    );
    expect(behaviors).toEqual(new Array(2).fill(['deny', 'deny', 'allow']));
  });

  it('works in the directories of both, those within others included', () => {
    const both = narrowed(
      contextOf('default', ['/ws/sub', '/data', '/opt'], []),
      contextOf('default', ['/ws', '/data', '/data/x', '/ws/sub/deep'], []),
    );
    expect(Object.keys(both.working_directories)).toEqual(['/ws/sub', '/data', '/data/x', '/ws/sub/deep']);
  });

  it('is within the bounds of what can be stored, and forbids the whole tool when rules are too many', () => {
    const many = (behavior: 'allow' | 'deny' | 'ask', prefix: string): PermissionRule[] =>
      Array.from({ length: 150 }, (_, at) => ({
        tool_name: 'Edit',
        rule_content: `${prefix}${at}`,
        behavior,
        source: 'test',
      }));
    const all = (prefix: string) => (['allow', 'deny', 'ask'] as const).flatMap((it) => many(it, prefix));
    const paths = (root: string) => Array.from({ length: 32 }, (_, at) => `${root}/d${at}`);
    const both = narrowed(contextOf('bypass', paths('/ws'), all('a')), contextOf('bypass', paths('/ws'), all('b')));
    expect(PermissionContext.safeParse(both).success).toBe(true);
    expect(both.deny_rules.Edit).toEqual([expect.objectContaining({ rule_content: null })]);
    expect(both.allow_rules.Edit).toHaveLength(200);
    const nested = narrowed(
      contextOf('default', ['/ws', ...paths('/ws').slice(1)], []),
      contextOf('default', ['/', ...paths('/ws/sub').slice(1)], []),
    );
    expect(Object.keys(nested.working_directories)).toHaveLength(32);
    expect(nested.working_directories).not.toHaveProperty('/ws');
  });
});
