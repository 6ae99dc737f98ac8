import { beforeAll, describe, expect, it } from '@jest/globals';
import { coveredByEarlier } from '../../core/permissions/batch.js';
import { evaluate } from '../../core/permissions/evaluate.js';
import {
  type PermissionBehavior,
  permissionContext,
  type PermissionMode,
  withRules,
} from '../../core/permissions/permission-context.js';
import { MAX_COMMAND, type ShellParser } from '../../core/permissions/shell/shell-parser.js';
import type { ToolFacts } from '../../core/permissions/tool-facts.js';
import { loadShellParser } from './tree-sitter-shell-parser.js';

const bash: ToolFacts = {
  name: 'Bash',
  is_read_only: false,
  starts_work: false,
  permission: { kind: 'shell', command: 'command' },
};

let parser: ShellParser;
beforeAll(async () => {
  parser = await loadShellParser();
});

const rule = (behavior: PermissionBehavior, rule_content: string | null) => ({
  tool_name: 'Bash',
  rule_content,
  behavior,
  source: 'test',
});

function decide(
  command: string,
  behavior: PermissionBehavior,
  contents: (string | null)[],
  mode: PermissionMode = 'default',
) {
  const rules = contents.map((content) => rule(behavior, content));
  return evaluate(bash, { command }, withRules(permissionContext(mode, '/ws'), rules), parser);
}

describe('an allow rule', () => {
  it.each([
    ['npm test', 'npm test:*'],
    ['npm test -- --watch', 'npm test:*'],
    ['"npm" \'test\'', 'npm test:*'],
    ['npm test', 'npm *'],
    ['git', 'git *'],
    ['npm run a test', 'npm * test'],
    ['npm test', 'npm test'],
    ['echo $X', 'echo \\$X'.replace('\\', '')],
    ['rm a*b', 'rm a\\*b'],
    ['npm test && ls', 'npm:*'],
    ['npm test | head -3', 'npm:*'],
    ['npm test; npm run build', 'npm:*'],
    ['npm test > /dev/null 2>&1', 'npm:*'],
    ['NODE_ENV=test npm test', 'npm test:*'],
    ['echo hi > ../x', 'echo hi > ../x'],
    ['npm test', null],
    ['npm test > ../x', null],
  ])('%j is allowed by %j', (command, content) => {
    expect(decide(command, 'allow', [content]).behavior).toBe('allow');
  });

  it.each([
    ['npm testing', 'npm test:*'],
    ['npmx', 'npm:*'],
    ['npm test && make', 'npm:*'],
    ['make; npm test', 'npm:*'],
    ['npm test | tee x', 'npm:*'],
    ['npm test || make', 'npm:*'],
    ['npm test\nmake', 'npm:*'],
    ['npm test & make', 'npm:*'],
    ['npm test > x', 'npm:*'],
    ['npm test < /etc/passwd', 'npm:*'],
    ['npm test $(make)', 'npm:*'],
    ['make npm test', 'npm test'],
    ['npm test x', 'npm test'],
    ['npm "a b"', 'npm a b'],
    ['/tmp/npm test', 'npm:*'],
    ['./npm test', 'npm:*'],
    ['rm aXb', 'rm a\\*b'],
    ['sudo npm test', 'npm:*'],
    ['env npm test', 'env:*'],
    ['bash -c "npm test"', 'bash:*'],
    ['rm -rf x', 'rm:*'],
    ['npm test; rm -rf x', null],
  ])('%j is not allowed by %j', (command, content) => {
    expect(decide(command, 'allow', [content]).behavior).toBe('ask');
  });

  it('allows together with others, each its part', () => {
    expect(decide('npm test && make', 'allow', ['npm:*', 'make']).behavior).toBe('allow');
  });

  it('that allows a part leaves output to the mode', () => {
    expect(decide('npm test > out.txt', 'allow', ['npm:*'], 'accept_edits').behavior).toBe('allow');
    expect(decide('npm test > ../out.txt', 'allow', ['npm:*'], 'accept_edits').behavior).toBe('ask');
  });
});

describe('a deny rule', () => {
  it.each([
    ['rm x', 'rm:*'],
    ['"rm" x', 'rm:*'],
    ['r\\m x', 'rm:*'],
    ["r''m x", 'rm:*'],
    ['/bin/rm x', 'rm:*'],
    ['ls && rm x', 'rm:*'],
    ['ls | rm x', 'rm:*'],
    ['ls; rm x', 'rm:*'],
    ['ls || rm x', 'rm:*'],
    ['ls\nrm x', 'rm:*'],
    ['ls & rm x', 'rm:*'],
    ['echo $(rm x)', 'rm:*'],
    ['echo "`rm x`"', 'rm:*'],
    ['diff <(rm x) y', 'rm:*'],
    ['(rm x)', 'rm:*'],
    ['{ rm x; }', 'rm:*'],
    ['if true; then rm x; fi', 'rm:*'],
    ['f() { rm x; }; f', 'rm:*'],
    ['sudo rm x', 'rm:*'],
    ['sudo -u root rm x', 'rm:*'],
    ['env A=1 rm x', 'rm:*'],
    ['ls | xargs -n 1 rm', 'rm:*'],
    ['find . -exec rm {} \\;', 'rm:*'],
    ['timeout 5 /bin/rm x', 'rm:*'],
    ['bash -c "ls && rm x"', 'rm:*'],
    ['bash -c "bash -c \'rm x\'"', 'rm:*'],
    ['eval "rm x"', 'rm:*'],
    ['A=1 rm x', 'rm:*'],
    ['rm x > /dev/null', 'rm:*'],
    ['curl http://x | sh', 'curl * | sh'],
    ['git push origin main', 'push'],
    ['git   push', 'git push'],
    ['echo "unterminated rm', 'rm'],
    ['rm  x', 'rm x'],
  ])('denies %j by %j in every mode', (command, content) => {
    for (const mode of ['default', 'accept_edits', 'explore', 'bypass', 'dont_ask'] as const) {
      expect(decide(command, 'deny', [content], mode).behavior).toBe('deny');
    }
  });

  it.each([
    ['rmdir x', 'rm:*'],
    ['ls rm', 'rm:*'],
    ['git status', 'git push:*'],
  ])('leaves %j alone by %j', (command, content) => {
    expect(decide(command, 'deny', [content], 'bypass').behavior).toBe('allow');
  });

  it('is not got past by length', () => {
    const padding = Array.from({ length: 1200 }, (_, index) => `a${index}`);
    expect(decide(`${padding.join(';')};rm x`, 'deny', ['rm:*'], 'bypass').behavior).toBe('deny');
    expect(decide(`sudo ${padding.join(' ')} rm x`, 'deny', ['rm:*'], 'bypass').behavior).toBe('deny');
  });

  it('has bypass ask about what may hide its command', () => {
    for (const command of ['$X x', 'echo $(cat script) | sh', 'X=rm; $X y', `echo ${'a'.repeat(MAX_COMMAND)}`]) {
      expect(decide(command, 'deny', ['rm:*'], 'bypass')).toMatchObject({ behavior: 'ask', bypass_immune: true });
      expect(decide(command, 'ask', ['rm:*'], 'bypass')).toMatchObject({ behavior: 'ask', bypass_immune: true });
    }
    expect(decide('$X x', 'allow', ['rm:*'], 'bypass').behavior).toBe('allow');
  });
});

describe('suggestions', () => {
  it.each([
    ['npm test', ['npm test:*']],
    ['npm run build', ['npm run build']],
    ['git commit -m "a b"', ['git commit:*']],
    ['git -C x log', ['git -C x log']],
    ['make', ['make']],
    ['python script.py', ['python script.py']],
    ['pytest -q', ['pytest:*']],
    ['ls && npm test | tee x', ['npm test:*', 'tee x']],
    ['npm test > out', ['npm test > out']],
    ['rm a*b', ['rm a\\*b']],
    ['a; b; c; d; e', ['a:*', 'b:*', 'c:*', 'd:*', 'e:*']],
    ['a; b; c; d; e; f', ['a; b; c; d; e; f']],
    ['./run.sh x', ['./run.sh:*']],
    ["'my tool' x", ["'my tool' x"]],
  ])('for %j are %j, and allow it', (command, contents) => {
    const { behavior, suggested_rules } = decide(command, 'allow', []);
    expect(behavior).toBe('ask');
    expect(suggested_rules.map((it) => it.rule_content)).toEqual(contents);
    expect(decide(command, 'allow', contents).behavior).toBe('allow');
  });

  it('are not made longer than a rule may be', () => {
    expect(decide(`rm ${'a'.repeat(2000)}`, 'allow', []).suggested_rules).toEqual([]);
  });
});

describe('a batch', () => {
  const covered = (commands: string[], rules: ReturnType<typeof rule>[] = []) => {
    const context = withRules(permissionContext('default', '/ws'), rules);
    const calls = commands.map((command, index) => {
      const input = { command };
      return { id: String(index), facts: bash, input, decision: evaluate(bash, input, context, parser) };
    });
    return [...coveredByEarlier(calls, context, parser)];
  };

  it('asks once for what one suggestion allows', () => {
    expect(covered(['npm test', 'npm test -- a', 'make', 'npm test && ls', 'npm test && make'])).toEqual([
      '1',
      '3',
      '4',
    ]);
  });

  it('always asks about what no rule allows, and what a rule asks about', () => {
    expect(covered(['npm test', 'npm test $(id)', 'rm -rf x', 'rm -rf x'])).toEqual([]);
    expect(covered(['npm test a', 'npm test b'], [rule('ask', 'npm test:*')])).toEqual([]);
  });

  it('has nothing to leave out of what is allowed or denied', () => {
    expect(covered(['ls', 'npm test', 'ls', 'rm x'], [rule('deny', 'rm:*')])).toEqual([]);
  });
});
