import type { Tool, ToolChunk, ToolContext } from '../agent/tool.js';
import { STRUCTURED_OUTPUT_TOOL } from '../agent/structured-output.js';
import { ToolError } from '../agent/tool.js';
import type { PermissionRule } from '../messages/block.js';
import { ModelError, type ChatModel, type ModelCall, type ModelPart } from '../models/chat-model.js';
import {
  type PermissionContext,
  permissionContext,
  PermissionMode,
  withRules,
} from '../permissions/permission-context.js';
import type { Chance } from './chance.js';
import { tool } from './reply-harness.js';
import { finish, text, toolCall } from './scripted-model.js';

const PATHS = ['/ws/a.txt', '/ws/.env', '/etc/passwd', 'b/c.txt'];
const NAMES = [
  'read',
  'write',
  'work',
  'plan',
  'edit',
  'look',
  'hand',
  'handRead',
  'grouped',
  'switch',
  'fails',
] as const;

/** What a tool does when it runs; `begun` hears of it first. */
function behaviour(chance: Chance, begun: (name: string, context: ToolContext, input: unknown) => void, name: string) {
  return async function* (input: unknown, context: ToolContext): AsyncGenerator<ToolChunk> {
    begun(name, context, input);
    yield { type: 'text', text: 'one' };
    if (chance.hits(0.3)) await new Promise((resolve) => setImmediate(resolve));
    if (name === 'switch') context.state.update('tools_context', { groups: { group: chance.hits(0.5) } });
    if (name === 'fails') throw chance.hits(0.5) ? new ToolError('No.') : new TypeError('hush');
    if (chance.hits(0.004)) await new Promise<never>(() => undefined);
    if (chance.hits(0.3)) yield { type: 'url', media_type: 'a/b', url: 'https://x.test/' };
    yield { type: 'text', text: 'two' };
  };
}

/** One tool of each kind, with flags as chance has it. */
export function randomTools(
  chance: Chance,
  begun: (name: string, context: ToolContext, input: unknown) => void,
): Tool[] {
  const of = (name: string, rest: Partial<Tool> = {}): Tool =>
    tool(name, behaviour(chance, begun, name), {
      is_concurrency_safe: chance.hits(0.5),
      is_idempotent: chance.hits(0.5),
      timeout_ms: 20,
      input_schema: { type: 'object', properties: { path: { type: 'string' } }, required: ['path'] },
      ...rest,
    });
  const outside = (name: string, rest: Partial<Tool>): Tool => {
    const { description, input_schema, is_concurrency_safe } = of(name);
    const flags = { is_read_only: false, is_idempotent: false, ...rest };
    return { ...flags, name, description, input_schema, is_concurrency_safe, is_external: true };
  };
  return [
    of('read', { is_read_only: true }),
    of('write'),
    of('work', { is_read_only: true, starts_work: true }),
    of('plan', { permission: { kind: 'session_state' } }),
    of('edit', { permission: { kind: 'file_edit', path: 'path' } }),
    of('look', { is_read_only: true, permission: { kind: 'file_read', path: 'path' } }),
    of('grouped', { group: 'group' }),
    of('switch', { permission: { kind: 'session_state' } }),
    of('fails'),
    outside('hand', {}),
    outside('handRead', { is_read_only: true }),
  ];
}

const randomRule = (chance: Chance): PermissionRule => ({
  tool_name: chance.pick([...NAMES, STRUCTURED_OUTPUT_TOOL]),
  rule_content: chance.hits(0.8) ? null : chance.pick(PATHS),
  behavior: chance.pick(['allow', 'deny', 'ask'] as const),
  source: 'fuzz',
});

export const randomRules = (chance: Chance, most: number): PermissionRule[] =>
  Array.from({ length: chance.between(0, most) }, () => randomRule(chance));

export function randomPermissions(chance: Chance): PermissionContext {
  const mode = chance.hits(0.6) ? 'default' : chance.pick(PermissionMode.options);
  return withRules(permissionContext(mode, '/ws'), randomRules(chance, 3));
}

export const randomInput = (chance: Chance): string => JSON.stringify({ path: chance.pick(PATHS) });

/** A model that says anything; `hung` is called when it will never answer. */
export class RandomModel implements ChatModel {
  readonly provider = 'random';
  readonly name = 'random';
  private calls = 0;

  constructor(
    private readonly chance: Chance,
    private readonly hung: () => void,
    private readonly isFaulty: () => boolean,
  ) {}

  async *stream({ tools }: ModelCall): AsyncGenerator<ModelPart> {
    const { chance } = this;
    this.calls += 1;
    const faulty = this.isFaulty();
    if (faulty && chance.hits(0.05)) throw new ModelError(chance.pick(['rate_limit', 'authentication']), 'hush');
    const ends = chance.hits(0.2);
    for (let part = 0, parts = chance.between(0, ends ? 2 : 5); part < parts; part += 1) {
      const id = `${this.calls}-${part}`;
      const kind = chance.next();
      if (ends || kind < 0.2) yield* text(chance.pick(['', 'Hi', 'a\0b', '\ud83d']), id);
      else if (kind < 0.25) yield* [{ type: 'thinking_start', id } as const];
      else if (kind < 0.3) yield { type: 'data', media_type: 'image/png', data: 'QQ==' };
      else yield* toolCall(`c${id}`, this.toolName(tools.map((it) => it.name)), this.input());
      if (!faulty || chance.hits(0.98)) continue;
      if (chance.hits(0.3)) throw chance.hits(0.5) ? new ModelError('upstream', 'hush') : new TypeError('hush');
      this.hung();
      await new Promise<never>(() => undefined);
    }
    yield finish();
  }

  private toolName(offered: readonly string[]): string {
    return this.chance.hits(0.9) && offered.length > 0
      ? this.chance.pick(offered)
      : this.chance.pick(['gone', ...NAMES]);
  }

  private input(): string {
    const { chance } = this;
    return chance.hits(0.9) ? randomInput(chance) : chance.pick(['', '{', '[]', '{"path":1}', '{"path":"/ws/x"']);
  }
}
