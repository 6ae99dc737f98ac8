import { z } from 'zod';
import { BASIC_GROUP, type ServiceTool, type ToolGroup } from '../agent/tool.js';

/**
 * Lets the model choose its groups of tools. A call states the whole choice: groups that are true are on, those that are false or not named
 * are off, also when they are on by default and whatever an earlier call said. What is not a group any more is forgotten. `basic` is always on and
 * cannot be chosen. To be offered only when there is a group to choose.
 */
export function resetToolsTool(groups: readonly ToolGroup[]): ServiceTool {
  const choosable = groups.filter((group) => group.name !== BASIC_GROUP);
  const names = choosable.map((group) => [group.name, z.boolean().describe(group.description).optional()] as const);
  const Input = z.strictObject(Object.fromEntries(names));
  return {
    name: 'reset_tools',
    description:
      'Chooses which groups of tools you have. Each call states the whole choice: a group that is true is on, every group that is ' +
      'false or left out is off. The tools outside groups are always there.',
    input_schema: z.toJSONSchema(Input),
    is_read_only: false,
    is_concurrency_safe: false,
    is_idempotent: true,
    is_state_injected: true,
    permission: { kind: 'session_state' },
    group: BASIC_GROUP,
    async *run(input, { state }) {
      const chosen: Record<string, boolean | undefined> = Input.parse(input);
      const isOn = ({ name }: ToolGroup) => Object.hasOwn(chosen, name) && chosen[name] === true;
      const unlikeDefault = choosable.filter((group) => isOn(group) !== group.active);
      state.update('tools_context', {
        groups: Object.fromEntries(unlikeDefault.map((group) => [group.name, isOn(group)])),
      });
      const lines = choosable.filter(isOn).map((group) => `- ${group.name}: ${group.description}`);
      yield {
        type: 'text',
        text: lines.length > 0 ? `On now:\n${lines.join('\n')}` : 'All groups are off now.',
      };
    },
  };
}
