import { beforeAll, describe, expect, it } from '@jest/globals';
import { factsOf } from '../../core/agent/tool-facts-of.js';
import type { Tool, ToolFlags } from '../../core/agent/tool.js';
import type { PermissionRule } from '../../core/messages/block.js';
import { evaluate } from '../../core/permissions/evaluate.js';
import { PermissionMode, permissionContext, withRules } from '../../core/permissions/permission-context.js';
import type { ShellParser } from '../../core/permissions/shell/shell-parser.js';
import { PlayedReply } from '../../core/testing/played-reply.js';
import { request } from '../../core/testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../../core/testing/scripted-model.js';
import { loadShellParser } from './tree-sitter-shell-parser.js';

type Outcome = 'ran' | 'handed out' | 'asked' | 'denied';
/** Without any rule, in the order of the modes: default, accept_edits, explore, bypass, dont_ask. */
type Row = [default_: Outcome, accept_edits: Outcome, explore: Outcome, bypass: Outcome, dont_ask: Outcome];

const HARMLESS: Row = ['ran', 'ran', 'ran', 'ran', 'ran'];
const PLAIN: Row = ['asked', 'asked', 'denied', 'ran', 'denied'];
const INSIDE: Row = ['asked', 'ran', 'denied', 'ran', 'ran'];

const SHELL = { permission: { kind: 'shell', command: 'command' } } as const;
const READ = { permission: { kind: 'file_read', path: 'path' }, is_read_only: true } as const;
const EDIT = { permission: { kind: 'file_edit', path: 'path' } } as const;

const KINDS: [what: string, flags: Partial<ToolFlags>, input: Record<string, string>, row: Row][] = [
  ['a generic read-only tool', { is_read_only: true }, {}, HARMLESS],
  ['a generic writing tool', {}, {}, PLAIN],
  ['a planning tool', { permission: { kind: 'session_state' } }, {}, HARMLESS],
  ['a tool that starts work', { is_read_only: true, starts_work: true }, {}, PLAIN],
  ['a harmless command', SHELL, { command: 'ls src | head' }, HARMLESS],
  ['a command', SHELL, { command: 'npm test' }, PLAIN],
  ['an editing command', SHELL, { command: 'touch x' }, INSIDE],
  ['a dangerous command', SHELL, { command: 'rm -rf x' }, PLAIN],
  ['a command that cannot be read', SHELL, { command: 'ls $(cat x)' }, PLAIN],
  ['a read inside', READ, { path: '/ws/a.ts' }, HARMLESS],
  ['a read outside', READ, { path: '/etc/passwd' }, PLAIN],
  ['a read that climbs out', READ, { path: '/ws/../etc/passwd' }, PLAIN],
  ['an edit inside', EDIT, { path: 'a.ts' }, INSIDE],
  ['an edit outside', EDIT, { path: '/opt/a.ts' }, PLAIN],
  ['an edit of a guarded file', EDIT, { path: '/ws/.git/config' }, PLAIN],
];

const RULES = ['none', 'allow', 'deny', 'ask'] as const;

let shellParser: ShellParser;
beforeAll(async () => {
  shellParser = await loadShellParser();
});

interface Cell {
  readonly flags: Partial<ToolFlags>;
  readonly input: Record<string, string>;
  readonly mode: PermissionMode;
  readonly rule: (typeof RULES)[number];
  readonly isExternal: boolean;
}

function scene({ flags, input, mode, rule, isExternal }: Cell) {
  const ran: unknown[] = [];
  const base = { name: 'Tool', description: 'Tool', input_schema: { type: 'object' }, is_read_only: false };
  const described = { ...base, is_concurrency_safe: false, is_idempotent: false, ...flags };
  const tool: Tool = isExternal
    ? { ...described, is_external: true }
    : {
        ...described,
        async *run(given) {
          ran.push(given);
          yield { type: 'text', text: 'ran' };
        },
      };
  const rules: PermissionRule[] =
    rule === 'none' ? [] : [{ tool_name: 'Tool', rule_content: null, behavior: rule, source: 'test' }];
  const permissions = withRules(permissionContext(mode, '/ws'), rules);
  const model = new ScriptedModel([
    [...toolCall('c', 'Tool', input), finish()],
    [...text('Done'), finish()],
  ]);
  const played = new PlayedReply(request(model, { tools: [tool], permissions, shellParser }));
  const decision = evaluate(factsOf(tool), input, permissions, shellParser);
  return { played, ran, decision };
}

/** What became of the call, by its record and by what really ran. */
function outcomeOf({ played, ran }: Pick<ReturnType<typeof scene>, 'played' | 'ran'>, input: unknown): Outcome {
  const { state } = played.call('c');
  const result = played.request.reply.result('c')?.state;
  if (ran.length > 0) {
    expect([ran, state, result]).toEqual([[input], 'finished', 'success']);
    return 'ran';
  }
  if (state === 'asking') {
    expect(played.named('REQUIRE_USER_CONFIRM')).toHaveLength(1);
    return 'asked';
  }
  if (state === 'submitted') {
    expect(played.named('REQUIRE_EXTERNAL_EXECUTION')).toHaveLength(1);
    return 'handed out';
  }
  expect([state, result]).toEqual(['finished', 'denied']);
  return 'denied';
}

const outside = (outcome: Outcome): Outcome => (outcome === 'ran' ? 'handed out' : outcome);

describe.each([
  ['that the service runs', false],
  ['that somebody outside runs', true],
])('the loop with a tool %s', (_where, isExternal) => {
  const allowed = isExternal ? 'handed out' : 'ran';

  it.each(KINDS)('and no rules does as the table says: %s', async (_what, flags, input, row) => {
    const outcomes: Outcome[] = [];
    for (const mode of PermissionMode.options) {
      const made = scene({ flags, input, mode, rule: 'none', isExternal });
      await made.played.play();
      outcomes.push(outcomeOf(made, input));
    }
    expect(outcomes).toEqual(isExternal ? row.map(outside) : row);
  });

  const cells = KINDS.flatMap(([what, flags, input]) =>
    PermissionMode.options.flatMap((mode) => RULES.map((rule) => ({ what, mode, rule, flags, input, isExternal }))),
  );

  it.each(cells)('does as the engine decides: $what, $mode, rule: $rule', async (cell) => {
    const made = scene(cell);
    await made.played.play();
    const { behavior } = made.decision;
    const expected = { allow: allowed, deny: 'denied', ask: 'asked' } as const;
    expect(outcomeOf(made, cell.input)).toBe(expected[behavior]);
    if (behavior !== 'ask') return;
    await made.played.play([made.played.confirm({ id: 'c', confirmed: true })]);
    expect(outcomeOf(made, cell.input)).toBe(allowed);
    const declined = scene(cell);
    await declined.played.play();
    await declined.played.play([declined.played.confirm({ id: 'c', confirmed: false })]);
    expect(outcomeOf(declined, cell.input)).toBe('denied');
    expect(declined.ran).toEqual([]);
  });
});
