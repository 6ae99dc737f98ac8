import { describe, expect, it } from '@jest/globals';
import type { PermissionRule } from '../messages/block.js';
import { applyConfirmation, type Confirmation, type InputParser } from './confirmation.js';
import { evaluate } from './evaluate.js';
import { type PermissionContext, permissionContext, withRules } from './permission-context.js';
import type { ShellParser } from './shell/shell-parser.js';
import type { ToolFacts } from './tool-facts.js';

const parser: ShellParser = { parse: () => null };
const edit: ToolFacts = {
  name: 'Edit',
  is_read_only: false,
  starts_work: false,
  permission: { kind: 'file_edit', path: 'file_path' },
};
const other: ToolFacts = { ...edit, name: 'Send', permission: { kind: 'generic' } };

const parse: InputParser = (text) => {
  const input: unknown = JSON.parse(text);
  return typeof input === 'object' ? { ok: true, input } : { ok: false, message: 'not an object' };
};
const text = (file_path: string) => JSON.stringify({ file_path });
const call = { name: 'Edit', input: text('/opt/a') };
const rule = (over: Partial<PermissionRule> = {}): PermissionRule => ({
  tool_name: 'Edit',
  rule_content: '/opt/**',
  behavior: 'allow',
  source: 'client',
  ...over,
});
const plain = permissionContext('default', '/ws');
const denying = withRules(plain, [rule({ behavior: 'deny', rule_content: '/opt/secret/**' })]);

function apply(confirmation: Confirmation, context: PermissionContext = plain, facts: ToolFacts = edit) {
  return applyConfirmation({ ...call, name: facts.name }, confirmation, facts, context, parse, parser);
}

describe('a confirmation', () => {
  it('lets the call run as it was asked', () => {
    expect(apply({})).toEqual({ ok: true, call, edited: false, context: plain });
    expect(apply({ tool_name: 'Edit', edited_input: call.input })).toMatchObject({ ok: true, edited: false });
  });

  it('may edit the input', () => {
    expect(apply({ edited_input: text('/opt/b') })).toMatchObject({
      ok: true,
      call: { name: 'Edit', input: text('/opt/b') },
      edited: true,
    });
  });

  it('may not name another tool', () => {
    expect(apply({ tool_name: 'Read' })).toMatchObject({ ok: false, code: 'tool_name_changed' });
    expect(applyConfirmation(call, {}, other, plain, parse, parser)).toMatchObject({
      ok: false,
      code: 'tool_name_changed',
    });
  });

  it('has its input validated', () => {
    expect(apply({ edited_input: '1' })).toEqual({ ok: false, code: 'input_invalid', message: 'not an object' });
  });

  it('overrules no denial, of the edited input or the one asked about', () => {
    expect(apply({ edited_input: text('/opt/secret/a') }, denying)).toMatchObject({ ok: false, code: 'denied' });
    expect(apply({ edited_input: text('/opt/b') }, denying)).toMatchObject({ ok: true });
    const since = withRules(plain, [rule({ behavior: 'deny', rule_content: null })]);
    expect(apply({}, since)).toMatchObject({ ok: false, code: 'denied' });
    expect(apply({}, { ...plain, mode: 'explore' })).toMatchObject({ ok: false, code: 'denied' });
    expect(apply({ edited_input: text('/opt/a\u0000') })).toMatchObject({ ok: false, code: 'denied' });
  });

  it('counts in a session that asks nobody, and on what no rule answers', () => {
    expect(apply({}, { ...plain, mode: 'dont_ask' })).toMatchObject({ ok: true, context: { mode: 'dont_ask' } });
    expect(apply({ edited_input: text('/ws/.git/config') })).toMatchObject({ ok: true });
  });

  it('adds rules that say where they are from', () => {
    const applied = apply({ rules: [rule(), rule()] });
    expect(applied).toMatchObject({
      ok: true,
      context: { allow_rules: { Edit: [{ ...rule(), source: 'confirmation' }] } },
    });
    if (!applied.ok) throw new Error(applied.message);
    expect(evaluate(edit, { file_path: '/opt/c' }, applied.context, parser).behavior).toBe('allow');
    expect(plain.allow_rules).toEqual({});
  });

  it.each([
    ['rule_for_other_tool', [rule({ tool_name: 'Bash' })]],
    ['rule_for_other_tool', [rule(), rule({ tool_name: 'edit' })]],
    ['rule_not_allow', [rule({ behavior: 'deny' })]],
    ['rule_not_allow', [rule({ behavior: 'ask' })]],
    ['rule_invalid', [rule({ rule_content: '/opt/!(a)' })]],
    ['rule_invalid', [rule({ rule_content: 'a'.repeat(1001) })]],
    ['too_many_rules', Array.from({ length: 11 }, (_, index) => rule({ rule_content: `/opt/${index}` }))],
  ])('is refused as a whole: %s', (code, rules) => {
    expect(apply({ rules })).toMatchObject({ ok: false, code });
  });

  it('adds no rule about a part of a tool that has none', () => {
    expect(apply({ rules: [rule({ tool_name: 'Send', rule_content: 'x' })] }, plain, other)).toMatchObject({
      ok: false,
      code: 'rule_invalid',
    });
    expect(apply({ rules: [rule({ tool_name: 'Send', rule_content: null })] }, plain, other)).toMatchObject({
      ok: true,
    });
  });

  it('does not fill a context beyond its bounds', () => {
    const full = withRules(
      plain,
      Array.from({ length: 200 }, (_, index) => rule({ rule_content: `/opt/${index}` })),
    );
    expect(apply({ rules: [rule()] }, full)).toMatchObject({ ok: false, code: 'too_many_rules' });
    expect(apply({}, full)).toMatchObject({ ok: true });
  });
});
