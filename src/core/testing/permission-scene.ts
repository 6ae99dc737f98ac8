import type { ExternalTool, Tool } from '../agent/tool.js';
import type { PermissionRule } from '../messages/block.js';
import { type PermissionContext, permissionContext } from '../permissions/permission-context.js';
import { PlayedReply } from './played-reply.js';
import { request, tool } from './reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from './scripted-model.js';

export const rule = (behavior: PermissionRule['behavior'], tool_name = 'write'): PermissionRule => ({
  tool_name,
  rule_content: null,
  behavior,
  source: 'test',
});
export const asking = permissionContext('default');
/** What is suggested for a call of `write`. */
export const suggestion = { ...rule('allow'), source: 'suggestion' };
const done: ScriptStep[] = [...text('Done'), finish()];

/** A reply whose first turn makes `calls`, in a session that asks; what ran stands in `log`. */
export function scene(calls: readonly ScriptStep[], permissions: PermissionContext = asking) {
  const log: string[] = [];
  const noting = (name: string, rest: Partial<Tool> = {}) =>
    tool(
      name,
      async function* (input, { tool_call_id }) {
        log.push(`${tool_call_id} ${JSON.stringify(input)}`);
        yield { type: 'text', text: 'ran' };
      },
      rest,
    );
  const hand: ExternalTool = {
    name: 'hand',
    description: 'hand',
    input_schema: { type: 'object' },
    is_read_only: false,
    is_concurrency_safe: true,
    is_idempotent: false,
    is_external: true,
  };
  const safe = { is_concurrency_safe: true };
  const input_schema = { type: 'object', properties: { n: { type: 'number' } } };
  const tools = [
    noting('write', { ...safe, input_schema }),
    noting('other', safe),
    noting('alone'),
    noting('read', { ...safe, is_read_only: true }),
    noting('readAlone', { is_read_only: true }),
    hand,
  ];
  const model = new ScriptedModel([[...calls, finish()], done]);
  return { log, model, played: new PlayedReply(request(model, { tools, permissions })) };
}

export const one = toolCall('a', 'write', { n: 1 });
