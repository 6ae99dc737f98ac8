import { z } from 'zod';
import { BASIC_GROUP, ToolError, type ServiceTool, type ToolFlags } from '../../agent/tool.js';
import { Metadata } from '../../messages/block.js';
import { storableJson } from '../../messages/storable.js';
import { type Task, TaskState, type TasksContext } from '../../state/session-state.js';
import { createTask, MAX_DEPENDENCIES, openBlockers, taskOf, updateTask } from '../../state/task-plan.js';

const TaskId = z.string().min(1).max(64).describe('The id of the task, e.g. "1"');
const Subject = z.string().min(1).max(1000).describe('What is to be done, in one line');
const Description = z.string().max(20_000).describe('What has to be known to do it, and when it is done');
const Ids = z.array(z.string().min(1).max(64)).max(MAX_DEPENDENCIES);

const CreateInput = z.strictObject({
  subject: Subject,
  description: Description,
  metadata: Metadata.describe('Free annotations').optional(),
});
const GetInput = z.strictObject({ task_id: TaskId });
const ListInput = z.strictObject({});
const UpdateInput = z.strictObject({
  task_id: TaskId,
  subject: Subject.optional(),
  description: Description.optional(),
  status: z
    .enum([...TaskState.options, 'deleted'])
    .describe('A task begins and is completed only after those that block it')
    .optional(),
  add_blocks: Ids.describe('Ids of tasks that cannot begin before this one is completed').optional(),
  add_blocked_by: Ids.describe('Ids of tasks that must be completed before this one can begin').optional(),
  owner: z.string().min(1).max(256).nullable().describe('Who does it; null for nobody').optional(),
  metadata: Metadata.describe('Laid over what is there; null as a value deletes the key').optional(),
});

const planning = {
  is_state_injected: true,
  permission: { kind: 'session_state' },
  group: BASIC_GROUP,
} as const satisfies Partial<ToolFlags>;
const reading = { ...planning, is_read_only: true, is_concurrency_safe: true, is_idempotent: true } as const;
const writing = { ...planning, is_read_only: false, is_concurrency_safe: false } as const;

/** The tools by which an agent keeps its plan in the state of the session. */
export function planningTools(clock: () => Date = () => new Date()): readonly ServiceTool[] {
  const create: ServiceTool = {
    name: 'TaskCreate',
    description:
      'Adds a task to your plan; it is pending. Plan work that takes several steps, and keep the plan up to date with TaskUpdate.',
    input_schema: z.toJSONSchema(CreateInput),
    ...writing,
    is_idempotent: false,
    async *run(input, { state }) {
      const plan = createTask(state.value.tasks_context, CreateInput.parse(storableJson(input)), clock());
      state.update('tasks_context', plan);
      const task = plan.tasks.at(-1);
      yield { type: 'text', text: `Created task ${task?.id}: ${task?.subject}` };
    },
  };
  return [create, getTool, listTool, updateTool];
}

const getTool: ServiceTool = {
  name: 'TaskGet',
  description: 'Shows one task of your plan in full.',
  input_schema: z.toJSONSchema(GetInput),
  ...reading,
  async *run(input, { state }) {
    yield { type: 'text', text: JSON.stringify(taskOf(state.value.tasks_context, GetInput.parse(input).task_id)) };
  },
};

const listTool: ServiceTool = {
  name: 'TaskList',
  description: 'Lists the tasks of your plan: id, state, subject, owner, and the open tasks each is blocked by.',
  input_schema: z.toJSONSchema(ListInput),
  ...reading,
  async *run(_input, { state }) {
    const plan = state.value.tasks_context;
    const lines = plan.tasks.map((task) => lineOf(plan, task));
    yield { type: 'text', text: lines.length > 0 ? lines.join('\n') : 'The plan has no tasks.' };
  },
};

const updateTool: ServiceTool = {
  name: 'TaskUpdate',
  description:
    'Changes a task of your plan: mark it in_progress when you begin it and completed when it is done. ' +
    'Dependencies are added to those it has; the status "deleted" removes the task.',
  input_schema: z.toJSONSchema(UpdateInput),
  ...writing,
  // The same change once more finds itself made.
  is_idempotent: true,
  async *run(input, { state }) {
    const { task_id, ...change } = UpdateInput.parse(storableJson(input));
    if (Object.keys(change).length === 0) throw new ToolError('Say what of the task is to be changed.');
    const plan = updateTask(state.value.tasks_context, task_id, change);
    state.update('tasks_context', plan);
    const text =
      change.status === 'deleted' ? `Deleted task ${task_id}.` : `Updated: ${lineOf(plan, taskOf(plan, task_id))}`;
    yield { type: 'text', text };
  },
};

/** `3 [pending] Subject (owner: x; blocked by 1, 2)`, on one line. */
function lineOf(plan: TasksContext, task: Task): string {
  const open = openBlockers(plan, task);
  const notes = [
    ...(task.owner === null ? [] : [`owner: ${task.owner}`]),
    ...(open.length === 0 ? [] : [`blocked by ${open.join(', ')}`]),
  ];
  const tail = notes.length === 0 ? '' : ` (${notes.join('; ')})`;
  return `${task.id} [${task.state}] ${task.subject}${tail}`.replace(/\s+/g, ' ');
}
