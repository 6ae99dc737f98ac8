import { beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PermissionRule } from '../../core/messages/block.js';
import { applyConfirmation } from '../../core/permissions/confirmation.js';
import { evaluate } from '../../core/permissions/evaluate.js';
import {
  type PermissionContext,
  permissionContext,
  PermissionMode,
  withRules,
} from '../../core/permissions/permission-context.js';
import type { ShellParser } from '../../core/permissions/shell/shell-parser.js';
import type { PermissionTarget, ToolFacts } from '../../core/permissions/tool-facts.js';
import { loadShellParser } from './tree-sitter-shell-parser.js';

const RUNS = { numRuns: 400 };

const TARGETS: PermissionTarget[] = [
  { kind: 'generic' },
  { kind: 'session_state' },
  { kind: 'shell', command: 'command' },
  { kind: 'file_read', path: 'path', pattern: 'pattern' },
  { kind: 'file_edit', path: 'path' },
];

const name = fc.constantFrom('Bash', 'Edit', 'Read', 'Other');
const facts: fc.Arbitrary<ToolFacts> = fc.record({
  name,
  is_read_only: fc.boolean(),
  starts_work: fc.boolean(),
  permission: fc.constantFrom(...TARGETS),
});

const piece = fc.constantFrom(
  ...[
    'ls',
    'rm',
    'npm',
    'test',
    'git',
    'cat',
    'sed',
    '-i',
    '-rf',
    'x',
    '.env',
    '/etc',
    '/ws',
    '..',
    '~',
    '*',
    '"',
    "'",
    '\\',
    '$',
  ],
  ...[
    '$X',
    '$(',
    ')',
    '`',
    '{',
    '}',
    ',',
    '(',
    '<',
    '>',
    '>>',
    '<<',
    '|',
    '&&',
    '||',
    ';',
    '&',
    '\n',
    '#',
    '=',
    '!',
    '[',
    ']',
    '[',
  ],
  ...[
    ' ',
    ' ',
    ' ',
    ' ',
    '/dev/null',
    'sudo',
    'find . -exec',
    'A=1',
    'if',
    'then',
    'fi',
    '\u200b',
    '\u0000',
    '\u00a0',
    '\ud800',
  ],
);
const command = fc.oneof(
  fc.array(piece, { maxLength: 14 }).map((it) => it.join('')),
  fc.string(),
);
const path = fc.oneof(
  fc
    .array(fc.constantFrom('/', '..', '.', 'ws', 'src', 'etc', '.git', '.env', 'a b', '*', '\u200b', '\u0000'), {
      maxLength: 8,
    })
    .map((it) => it.join('/')),
  fc.string(),
);
const input = fc.oneof(fc.record({ command, path, pattern: path }, { requiredKeys: [] }), fc.anything());
const content = fc.oneof(
  fc.constant(null),
  fc.constantFrom('', 'npm:*', 'rm:*', 'git *', 'ls', '**', '/ws/**', '/etc/*', '{a,b}', '!(x)', '[', '*', '\\', ':*'),
  command,
  path,
);
const rule = (behaviors: PermissionRule['behavior'][]): fc.Arbitrary<PermissionRule> =>
  fc.record({
    tool_name: name,
    rule_content: content,
    behavior: fc.constantFrom(...behaviors),
    source: fc.constant('test'),
  });
const context: fc.Arbitrary<PermissionContext> = fc
  .record({
    mode: fc.constantFrom(...PermissionMode.options),
    workdir: fc.constantFrom('/ws', '/', undefined),
    rules: fc.array(rule(['allow', 'ask', 'deny']), { maxLength: 4 }),
  })
  .map(({ mode, workdir, rules }) => withRules(permissionContext(mode, workdir), rules));

const RANK = { allow: 0, ask: 1, deny: 2 };

let parser: ShellParser;
beforeAll(async () => {
  parser = await loadShellParser();
});

describe('whatever the call, the rules and the mode', () => {
  it('a decision falls', () => {
    fc.assert(
      fc.property(facts, input, context, (tool, value, ctx) => {
        expect(Object.keys(RANK)).toContain(evaluate(tool, value, ctx, parser).behavior);
      }),
      RUNS,
    );
  });

  it('a deny or ask rule makes nothing more permissive', () => {
    fc.assert(
      fc.property(facts, input, context, rule(['deny', 'ask']), (tool, value, ctx, added) => {
        const before = evaluate(tool, value, ctx, parser).behavior;
        const after = evaluate(tool, value, withRules(ctx, [added]), parser).behavior;
        expect(RANK[after]).toBeGreaterThanOrEqual(RANK[before]);
      }),
      RUNS,
    );
  });

  it('explore neither allows nor asks about a change', () => {
    fc.assert(
      fc.property(facts, input, context, (tool, value, ctx) => {
        const changes =
          tool.starts_work ||
          tool.permission.kind === 'file_edit' ||
          (tool.permission.kind === 'generic' && !tool.is_read_only);
        const decision = evaluate(tool, value, { ...ctx, mode: 'explore' }, parser);
        if (changes) expect(decision.behavior).toBe('deny');
        if (decision.behavior === 'allow') expect(decision.decision_reason).toEqual({ type: 'harmless' });
      }),
      RUNS,
    );
  });

  it('a mode that asks nobody does not ask', () => {
    fc.assert(
      fc.property(facts, input, context, (tool, value, ctx) => {
        expect(evaluate(tool, value, { ...ctx, mode: 'dont_ask' }, parser).behavior).not.toBe('ask');
      }),
      RUNS,
    );
  });

  it('an immune ask stays one whatever is allowed', () => {
    fc.assert(
      fc.property(facts, input, context, fc.array(rule(['allow'])), (tool, value, ctx, rules) => {
        const before = evaluate(tool, value, ctx, parser);
        if (before.bypass_immune) expect(evaluate(tool, value, withRules(ctx, rules), parser)).toEqual(before);
      }),
      RUNS,
    );
  });

  it('what is suggested allows the call', () => {
    fc.assert(
      fc.property(facts, input, context, (tool, value, ctx) => {
        const { suggested_rules } = evaluate(tool, value, ctx, parser);
        expect(suggested_rules.every((it) => it.tool_name === tool.name && it.behavior === 'allow')).toBe(true);
        if (suggested_rules.length > 0) {
          expect(evaluate(tool, value, withRules(ctx, suggested_rules), parser).behavior).toBe('allow');
        }
      }),
      RUNS,
    );
  });

  it('a confirmation changes nothing for other tools, and runs nothing that a rule denies', () => {
    const rules = fc.array(rule(['allow', 'ask', 'deny']), { maxLength: 12 });
    fc.assert(
      fc.property(
        facts,
        fc.tuple(input, input),
        context,
        rules,
        facts,
        input,
        (tool, [asked, edited], ctx, given, other, value) => {
          const call = { name: tool.name, input: 'asked' };
          const parse = (text: string) => ({ ok: true as const, input: text === 'asked' ? asked : edited });
          const applied = applyConfirmation(call, { edited_input: 'edited', rules: given }, tool, ctx, parse, parser);
          if (!applied.ok) return;
          expect(applied.call.name).toBe(tool.name);
          expect(
            evaluate(tool, edited, { ...ctx, mode: ctx.mode === 'dont_ask' ? 'default' : ctx.mode }, parser).behavior,
          ).not.toBe('deny');
          if (other.name !== tool.name) {
            expect(evaluate(other, value, applied.context, parser)).toEqual(evaluate(other, value, ctx, parser));
          }
          expect({ ...applied.context, allow_rules: {} }).toEqual({ ...ctx, allow_rules: {} });
        },
      ),
      RUNS,
    );
  });
});
