import { describe, expect, it } from '@jest/globals';
import { coveredByEarlier } from './batch.js';
import { evaluate } from './evaluate.js';
import {
  type PermissionBehavior,
  PermissionContext,
  permissionContext,
  type PermissionMode,
  withRules,
} from './permission-context.js';
import type { ShellParser } from './shell/shell-parser.js';
import type { ToolFacts } from './tool-facts.js';

/** No tool here has a shell. */
const parser: ShellParser = { parse: () => null };

const base = { is_read_only: false, starts_work: false };
const read: ToolFacts = {
  ...base,
  name: 'Read',
  is_read_only: true,
  permission: { kind: 'file_read', path: 'file_path' },
};
const glob: ToolFacts = {
  ...base,
  name: 'Glob',
  is_read_only: true,
  permission: { kind: 'file_read', path: 'path', pattern: 'pattern' },
};
const edit: ToolFacts = { ...base, name: 'Edit', permission: { kind: 'file_edit', path: 'file_path' } };

function decide(tool: ToolFacts, input: unknown, mode: PermissionMode, rules: [PermissionBehavior, string][] = []) {
  const added = rules.map(([behavior, rule_content]) => ({
    tool_name: tool.name,
    rule_content,
    behavior,
    source: 'test',
  }));
  return evaluate(tool, input, withRules(permissionContext(mode, '/ws'), added), parser);
}

describe('a read', () => {
  it.each([
    '/ws',
    '/ws/a',
    'a',
    './a',
    'a/../b',
    '/ws//a',
    '/ws/a/',
    '/ws/größe',
    '/ws/environment.ts',
    '/ws/src/env.ts',
  ])('of %j lies in the working directory', (file_path) =>
    expect(decide(read, { file_path }, 'explore').behavior).toBe('allow'),
  );

  it.each([
    '/',
    '/wsx',
    '/ws/..',
    '/ws/../etc/passwd',
    '../ws2/a',
    'a/../../b',
    '/etc/passwd',
    '/WS/a',
    '/ws/.env',
    '/ws/.ENV.local',
    '/ws/.env.',
    '/ws/.env ',
    '/ws/.\uff45nv',
    '/ws/.ssh/config',
    '/ws/.aws/credentials',
    '/ws/x/.npmrc',
    '/ws/id_rsa',
  ])('of %j asks', (file_path) => {
    expect(decide(read, { file_path }, 'default').behavior).toBe('ask');
    expect(decide(read, { file_path }, 'explore').behavior).toBe('deny');
    expect(decide(read, { file_path }, 'dont_ask').behavior).toBe('deny');
    expect(decide(read, { file_path }, 'bypass').behavior).toBe('allow');
  });

  it.each(['/ws/a\u0000', `/ws/${'a'.repeat(5000)}`])('of what is no path is denied', (file_path) => {
    for (const mode of ['default', 'bypass'] as const) {
      expect(decide(read, { file_path }, mode)).toMatchObject({
        behavior: 'deny',
        decision_reason: { code: 'bad_path' },
      });
    }
  });

  it.each(['/ws/a\u200b', '/ws/\u202egnp.ts', '/ws/a\n\u0007', '/ws/\u00a0a'])(
    'of %j asks whatever the rules say',
    (file_path) => {
      expect(decide(read, { file_path }, 'default', [['allow', '/ws/**']])).toMatchObject({
        behavior: 'ask',
        bypass_immune: true,
      });
    },
  );

  it('without a working directory is never inside', () => {
    expect(evaluate(read, { file_path: '/ws/a' }, permissionContext('explore'), parser).behavior).toBe('deny');
    expect(evaluate(read, { file_path: 'a' }, permissionContext('bypass'), parser).behavior).toBe('deny');
  });

  it.each([
    [{}, 'allow'],
    [{ pattern: '**/*.ts' }, 'allow'],
    [{ path: 'src', pattern: '../*.ts' }, 'allow'],
    [{ path: '/ws' }, 'allow'],
    [{ pattern: '/etc/*' }, 'ask'],
    [{ pattern: '../*' }, 'ask'],
    [{ pattern: 'a/../../*' }, 'ask'],
    [{ pattern: '**/../../../*' }, 'ask'],
    [{ path: '/etc', pattern: '*' }, 'ask'],
    [{ pattern: '**/.env*' }, 'ask'],
    [{ path: 1 }, 'deny'],
    [{ pattern: [] }, 'deny'],
  ])('that searches %j: %s', (input, behavior) => expect(decide(glob, input, 'default').behavior).toBe(behavior));
});

describe('an edit', () => {
  it.each([
    '/ws/.git/config',
    '/ws/.GIT/hooks/x',
    '/ws/.vscode/settings.json',
    '.ssh/authorized_keys',
    '/ws/.env',
    '~/.bashrc',
    '/ws/.g\u200bit/x',
  ])('of %j asks whatever the rules say', (file_path) => {
    for (const mode of ['default', 'accept_edits'] as const) {
      expect(decide(edit, { file_path }, mode, [['allow', '/**']])).toMatchObject({
        behavior: 'ask',
        bypass_immune: true,
      });
    }
    expect(decide(edit, { file_path }, 'dont_ask').behavior).toBe('deny');
  });

  it.each(['/ws/.gitignore', '/ws/.github/x', '/ws/git/config'])('of %j is one like any other', (file_path) => {
    expect(decide(edit, { file_path }, 'accept_edits').behavior).toBe('allow');
  });
});

describe('a rule about paths', () => {
  it.each([
    ['/ws/secret/**', '/ws/secret/a'],
    ['/ws/secret', '/ws/secret/a'],
    ['/ws/secret/', '/ws/secret/a'],
    ['secret', '/ws/secret/a'],
    ['./secret/**', '/ws/secret/a'],
    ['**/secret/*', '/ws/x/secret/a'],
    ['/ws/secret/**', '/ws/x/../secret/a'],
    ['/ws/secret/**', '/ws/SECRET/a'],
    ['/ws/Secret/**', '/ws/secret/a'],
    ['/ws/secret/**', '/ws/\uff53ecret/a'],
    ['/ws/secret/**', '/ws/sec\u200bret/a'],
    ['/ws/!(public)', '/ws/public'],
    ['/ws/../etc', '/ws/a'],
  ])('that denies %j denies %j', (content, file_path) => {
    expect(decide(read, { file_path }, 'bypass', [['deny', content]]).behavior).toBe('deny');
  });

  it.each([
    ['/opt/**', '/opt/a/b', 'allow'],
    ['/opt/*', '/opt/a/b', 'ask'],
    ['/opt', '/opt/a', 'ask'],
    ['/opt/**', '/opt/../etc/a', 'ask'],
    ['/opt/**', '/OPT/a', 'ask'],
    ['/opt/!(x)', '/opt/a', 'ask'],
  ])('that allows %j: %j %s', (content, file_path, behavior) => {
    expect(decide(edit, { file_path }, 'default', [['allow', content]]).behavior).toBe(behavior);
  });

  it('is suggested for the directory, and for a secret alone', () => {
    const contents = (file_path: string) =>
      decide(read, { file_path }, 'default').suggested_rules.map((it) => it.rule_content);
    expect(contents('/opt/x/a.ts')).toEqual(['/opt/x/**']);
    expect(contents('/opt/[x]/a.ts')).toEqual(['/opt/\\[x\\]/**']);
    expect(contents('/passwd')).toEqual(['/passwd']);
    expect(contents('/ws/.env')).toEqual(['/ws/.env']);
  });

  it('that is suggested for one of a batch leaves out the others it covers', () => {
    const context = permissionContext('default', '/ws');
    const calls = ['/opt/a', '/opt/b', '/srv/a', '/ws/.git/a', '/ws/.git/b'].map((file_path) => ({
      id: file_path,
      facts: edit,
      input: { file_path },
      decision: evaluate(edit, { file_path }, context, parser),
    }));
    expect([...coveredByEarlier(calls, context, parser)]).toEqual(['/opt/b']);
  });
});

describe('a context', () => {
  const rule = { tool_name: 'Edit', rule_content: null, behavior: 'allow' as const, source: 'test' };
  const valid = permissionContext('default', '/ws');

  it('has bounds, and rules in their places', () => {
    const parses = (value: unknown) => PermissionContext.safeParse(value).success;
    expect(parses(withRules(valid, [rule]))).toBe(true);
    expect(parses({ ...valid, mode: 'root' })).toBe(false);
    expect(parses({ ...valid, deny_rules: { Edit: [rule] } })).toBe(false);
    expect(parses({ ...valid, allow_rules: { Read: [rule] } })).toBe(false);
    expect(parses({ ...valid, allow_rules: { Edit: Array.from({ length: 201 }, () => rule) } })).toBe(false);
    expect(parses({ ...valid, allow_rules: { Edit: [{ ...rule, rule_content: 'a'.repeat(1001) }] } })).toBe(false);
    expect(parses({ ...valid, working_directories: { ws: { path: 'ws', source: 's' } } })).toBe(false);
    expect(parses({ ...valid, working_directories: { '/a': { path: '/b', source: 's' } } })).toBe(false);
    expect(parses({ ...valid, working_directories: { '/a\u0000': { path: '/a\u0000', source: 's' } } })).toBe(false);
  });

  it('takes a rule once, and is not changed itself', () => {
    const once = withRules(valid, [rule, { ...rule, rule_content: '', source: 'other' }]);
    expect(once.allow_rules).toEqual({ Edit: [rule] });
    expect(valid.allow_rules).toEqual({});
  });
});
