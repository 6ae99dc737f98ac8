import { describe, expect, it } from '@jest/globals';
import { parseToolInput } from '../agent/tool-input.js';
import { AgentState } from '../state/session-state.js';
import { resetToolsTool } from './reset-tools.js';

const GROUPS = [
  { name: 'basic', description: 'always', active: true },
  { name: 'schedules', description: 'Work at set times.', active: false },
  { name: 'browser', description: 'Pages of the web.', active: true },
];
const tool = resetToolsTool(GROUPS);

async function reset(state: AgentState, input: object): Promise<string> {
  let text = '';
  const context = { tool_call_id: 'c', signal: new AbortController().signal, state, offload: null };
  for await (const chunk of tool.run(input, context)) if (chunk.type === 'text') text += chunk.text;
  return text;
}

describe('reset_tools', () => {
  it('has a switch for every group but basic', () => {
    expect(tool.input_schema).toMatchObject({
      properties: { schedules: { type: 'boolean' }, browser: { type: 'boolean' } },
      additionalProperties: false,
    });
    expect(parseToolInput(tool, '{"schedules":true}').ok).toBe(true);
    expect(parseToolInput(tool, '{"basic":false}').ok).toBe(false);
    expect(parseToolInput(tool, '{"schedules":"yes"}').ok).toBe(false);
    expect(tool).toMatchObject({ is_state_injected: true, permission: { kind: 'session_state' }, group: 'basic' });
  });

  it.each([
    [{ schedules: true, browser: true }, { schedules: true }, /^On now:\n- schedules: .*\n- browser: .*$/],
    [{ schedules: true }, { schedules: true, browser: false }, /^On now:\n- schedules: Work at set times\.$/],
    [{ browser: true, schedules: false }, {}, /^On now:\n- browser: .*$/],
    [{}, { browser: false }, /^All groups are off now\.$/],
  ])('%j makes the state %j', async (input, groups, text) => {
    const state = new AgentState();
    state.update('tools_context', { groups: { schedules: true, gone: true } });
    expect(await reset(state, input)).toMatch(text);
    expect(state.value.tools_context).toEqual({ groups });
  });
});
