import { describe, expect, it } from '@jest/globals';
import { ToolError, type ServiceTool } from '../../agent/tool.js';
import { parseToolInput } from '../../agent/tool-input.js';
import { AgentState } from '../../state/session-state.js';
import { planningTools } from './planning-tools.js';

const NOW = new Date('2026-11-20T10:00:00.000Z');
const TOOLS = new Map(planningTools(() => NOW).map((tool) => [tool.name, tool]));

const toolOf = (name: string): ServiceTool => {
  const tool = TOOLS.get(name);
  if (tool === undefined) throw new Error(`no tool ${name}`);
  return tool;
};

async function call(state: AgentState, name: string, input: object = {}): Promise<string> {
  const tool = toolOf(name);
  const parsed = parseToolInput(tool, JSON.stringify(input));
  if (!parsed.ok) throw new Error(parsed.message);
  let text = '';
  const context = { tool_call_id: 'c', signal: new AbortController().signal, state, offload: null };
  for await (const chunk of tool.run(parsed.input, context)) if (chunk.type === 'text') text += chunk.text;
  return text;
}

describe('the planning tools', () => {
  it('work on the state of the session only, and say so', () => {
    expect([...TOOLS.keys()]).toEqual(['TaskCreate', 'TaskGet', 'TaskList', 'TaskUpdate']);
    for (const tool of TOOLS.values()) {
      expect(tool).toMatchObject({ is_state_injected: true, permission: { kind: 'session_state' }, group: 'basic' });
      const reads = tool.name === 'TaskGet' || tool.name === 'TaskList';
      expect(tool).toMatchObject({ is_read_only: reads, is_concurrency_safe: reads });
    }
    expect(toolOf('TaskCreate').is_idempotent).toBe(false);
  });

  it('keep a plan', async () => {
    const state = new AgentState();
    expect(await call(state, 'TaskList')).toBe('The plan has no tasks.');
    expect(await call(state, 'TaskCreate', { subject: 'Read\nall', description: 'the files' })).toMatch(
      /^Created task 1:/,
    );
    await call(state, 'TaskCreate', { subject: 'Write', description: '', metadata: { pages: 2 } });
    expect(await call(state, 'TaskUpdate', { task_id: '2', add_blocked_by: ['1'], owner: 'Ann' })).toBe(
      'Updated: 2 [pending] Write (owner: Ann; blocked by 1)',
    );
    await call(state, 'TaskUpdate', { task_id: '1', status: 'in_progress' });
    expect(await call(state, 'TaskList')).toBe(
      '1 [in_progress] Read all\n2 [pending] Write (owner: Ann; blocked by 1)',
    );
    expect(JSON.parse(await call(state, 'TaskGet', { task_id: '2' }))).toEqual(state.value.tasks_context.tasks[1]);
    await call(state, 'TaskUpdate', { task_id: '1', status: 'completed' });
    expect(await call(state, 'TaskUpdate', { task_id: '2', metadata: { pages: null } })).toBe(
      'Updated: 2 [pending] Write (owner: Ann)',
    );
    expect(state.value.tasks_context.tasks[1]?.metadata).toEqual({});
    expect(await call(state, 'TaskUpdate', { task_id: '1', status: 'deleted' })).toBe('Deleted task 1.');
    expect(await call(state, 'TaskList')).toBe('2 [pending] Write (owner: Ann)');
  });

  it('refuse what makes no sense, and change nothing then', async () => {
    const state = new AgentState();
    await call(state, 'TaskCreate', { subject: 'a', description: '' });
    const before = state.value;
    await expect(call(state, 'TaskGet', { task_id: '7' })).rejects.toThrow(new ToolError('There is no task "7".'));
    await expect(call(state, 'TaskUpdate', { task_id: '1' })).rejects.toThrow(ToolError);
    await expect(call(state, 'TaskUpdate', { task_id: '1', add_blocks: ['1'] })).rejects.toThrow(ToolError);
    expect(state.value).toBe(before);
  });

  it('do a change twice as once', async () => {
    const state = new AgentState();
    await call(state, 'TaskCreate', { subject: 'a', description: '' });
    await call(state, 'TaskCreate', { subject: 'b', description: '' });
    const change = { task_id: '1', add_blocks: ['2'], status: 'completed', metadata: { k: 1 }, owner: 'x' };
    await call(state, 'TaskUpdate', change);
    const once = state.value;
    await call(state, 'TaskUpdate', change);
    expect(state.value).toEqual(once);
  });

  it('keep only what can be stored', async () => {
    const state = new AgentState();
    await call(state, 'TaskCreate', { subject: 'a\0b', description: '\ud800', metadata: { 'k\0': 'v\0' } });
    expect(state.value.tasks_context.tasks[0]).toMatchObject({
      subject: 'a\ufffdb',
      description: '\ufffd',
      metadata: { 'k\ufffd': 'v\ufffd' },
    });
  });

  it.each([
    ['TaskCreate', { subject: 'a' }],
    ['TaskCreate', { subject: '', description: '' }],
    ['TaskCreate', { subject: 'a', description: 'd'.repeat(20_001) }],
    ['TaskUpdate', { task_id: '1', status: 'done' }],
    ['TaskUpdate', { task_id: '1', add_blocks: new Array(51).fill('2') }],
    ['TaskUpdate', { task_id: '1', add_blocks: [2] }],
    ['TaskList', { all: true }],
  ])('%s does not take %j', (name, input) => {
    expect(parseToolInput(toolOf(name), JSON.stringify(input)).ok).toBe(false);
  });
});
