import { describe, expect, it } from '@jest/globals';
import { AerieError } from '../platform/http/errors.js';
import { copyName, patched } from './session-config.js';
import {
  CreateSession,
  MAX_METADATA_KEYS,
  MAX_SESSION_RULES,
  PatchSession,
  SessionConfig,
  SessionListQuery,
} from './session.schema.js';

const NOWHERE = '00000000-0000-7000-8000-000000000000';
const rule = { tool_name: 'Bash', rule_content: 'ls:*', behavior: 'allow' };

const config = SessionConfig.parse({
  name: 's',
  chat_model_config: null,
  fallback_chat_model_config: null,
  permission_mode: 'explore',
  permission_rules: [{ ...rule, source: 'user' }],
  disabled_tools: ['a'],
  metadata: { a: '1', b: '2' },
});

const marks = (count: number, from = 0) =>
  Object.fromEntries(Array.from({ length: count }, (_, i) => [`k${i + from}`, 'v']));

const pathsOf = (
  schema: { safeParse: (value: unknown) => { error?: { issues: { path: PropertyKey[] }[] } } },
  value: unknown,
) => schema.safeParse(value).error?.issues.map(({ path }) => path.join('.'));

describe('patched', () => {
  it('merges marks key by key, null deletes one, and other fields stay', () => {
    const patch = PatchSession.parse({ metadata: { a: null, b: '3', c: '' } });
    expect(patched(config, patch)).toEqual({ ...config, metadata: { b: '3', c: '' } });
    expect(patched(config, PatchSession.parse({}))).toEqual(config);
  });

  it('replaces the rules, which are the user’s whatever they say', () => {
    const given = { tool_name: 'Write', behavior: 'deny', source: 'operator' };
    const patch = PatchSession.parse({ permission_mode: 'bypass', permission_rules: [given] });
    const permission_rules = [{ tool_name: 'Write', rule_content: null, behavior: 'deny', source: 'user' }];
    expect(patched(config, patch)).toEqual({ ...config, permission_mode: 'bypass', permission_rules });
  });

  it('counts the marks after the merge', () => {
    const full = { ...config, metadata: marks(MAX_METADATA_KEYS) };
    const exchange = PatchSession.parse({ metadata: { k0: null, k1: 'w', new: 'v' } });
    expect(Object.keys(patched(full, exchange).metadata)).toHaveLength(MAX_METADATA_KEYS);
    expect(() => patched(full, PatchSession.parse({ metadata: { new: 'v' } }))).toThrow(AerieError);
  });
});

describe('what a client may give', () => {
  it.each([
    ['a mode there is not', { permission_mode: 'yolo' }, ['permission_mode']],
    [
      'a behaviour there is not',
      { permission_rules: [{ ...rule, behavior: 'maybe' }] },
      ['permission_rules.0.behavior'],
    ],
    [
      'a rule that is too long',
      { permission_rules: [{ ...rule, rule_content: 'x'.repeat(1001) }] },
      ['permission_rules.0.rule_content'],
    ],
    ['too many rules', { permission_rules: Array(MAX_SESSION_RULES + 1).fill(rule) }, ['permission_rules']],
    ['a tool without a name', { disabled_tools: [''] }, ['disabled_tools.0']],
    ['a mark without a key', { metadata: { '': 'v' } }, ['metadata.']],
    ['a key with a colon', { metadata: { 'a:b': 'v' } }, ['metadata.a:b']],
    ['a key that is too long', { metadata: { ['k'.repeat(65)]: 'v' } }, [`metadata.${'k'.repeat(65)}`]],
    ['a value that is too long', { metadata: { k: 'v'.repeat(513) } }, ['metadata.k']],
    ['a value that is no text', { metadata: { k: 1 } }, ['metadata.k']],
  ])('is not %s', (_name, body, paths) => {
    expect(pathsOf(PatchSession, body)).toEqual(paths);
    expect(pathsOf(CreateSession, { agent_id: NOWHERE, ...body })).toEqual(paths);
  });

  it('is not more than so many marks', () => {
    expect(pathsOf(CreateSession, { agent_id: NOWHERE, metadata: marks(MAX_METADATA_KEYS + 1) })).toEqual(['metadata']);
    expect(pathsOf(PatchSession, { metadata: marks(2 * MAX_METADATA_KEYS + 1) })).toEqual(['metadata']);
    expect(pathsOf(CreateSession, { agent_id: NOWHERE, metadata: { k: null } })).toEqual(['metadata.k']);
  });
});

describe('the filter of a list', () => {
  it('reads one mark or several, up to the first colon', () => {
    expect(SessionListQuery.parse({ metadata: 'a:b:c' }).metadata).toEqual({ a: 'b:c' });
    expect(SessionListQuery.parse({ metadata: ['a:', 'b:1'] }).metadata).toEqual({ a: '', b: '1' });
    expect(SessionListQuery.parse({}).metadata).toBeUndefined();
  });

  it.each([
    ['no colon', 'a'],
    ['no key', ':v'],
    ['a key twice', ['a:1', 'a:2']],
    ['nine marks', Array.from({ length: 9 }, (_, i) => `k${i}:v`)],
  ])('refuses %s', (_name, metadata) => {
    expect(SessionListQuery.safeParse({ metadata }).success).toBe(false);
  });
});

describe('copyName', () => {
  it('stays within the length of a name, and keeps characters whole', () => {
    expect(copyName('talk')).toBe('talk (fork)');
    expect(copyName('x'.repeat(512))).toBe(`${'x'.repeat(505)} (fork)`);
    expect(copyName('😀'.repeat(256))).toBe(`${'😀'.repeat(252)} (fork)`);
  });
});
