import { ToolError } from '../agent/tool.js';
import type { Metadata } from '../messages/block.js';
import { MAX_TASKS, Task, type TasksContext, type TaskState } from './session-state.js';

/** Bound on each of the two lists of a task. */
export const MAX_DEPENDENCIES = 50;
/** Bound on the annotations of a task as JSON, in bytes. */
export const MAX_TASK_METADATA_BYTES = 4096;
/** Bound on a whole plan as JSON, in UTF-16 units: it goes out whole with every change, and is stored with every step of a run. */
export const MAX_PLAN_CHARS = 200_000;

export interface NewTask {
  readonly subject: string;
  readonly description: string;
  readonly metadata?: Metadata;
}

export interface TaskChange {
  readonly subject?: string;
  readonly description?: string;
  /** `deleted` takes the task away, and out of the lists of the others; what else the change says is then of no effect. */
  readonly status?: TaskState | 'deleted';
  /** What the lists have already is no change. */
  readonly add_blocks?: readonly string[];
  readonly add_blocked_by?: readonly string[];
  readonly owner?: string | null;
  /** Laid over what is there; a key with null is taken away. */
  readonly metadata?: Metadata;
}

/**
 * The plan with a further task, which is the last one. Of every plan made here holds: ids are unique; no list names an unknown task, its own task, or one task twice; `blocks` is the inverse of
 * `blocked_by`, and no task waits for itself over others. What would break this, or a bound, is a `ToolError`. Plans are never changed in place.
 */
export function createTask(plan: TasksContext, task: NewTask, now: Date): TasksContext {
  if (plan.tasks.length >= MAX_TASKS) {
    throw new ToolError(`The plan has ${MAX_TASKS} tasks, which is the most it can have. Delete some that are done.`);
  }
  const created: Task = {
    id: nextId(plan),
    subject: task.subject,
    description: task.description,
    metadata: overlay({}, task.metadata ?? {}),
    created_at: now.toISOString(),
    state: 'pending',
    owner: null,
    blocks: [],
    blocked_by: [],
  };
  return bounded(plan, { tasks: [...plan.tasks, created] });
}

export function taskOf(plan: TasksContext, id: string): Task {
  const task = plan.tasks.find((it) => it.id === id);
  if (task === undefined) throw new ToolError(`There is no task "${id}".`);
  return task;
}

/** The plan after a change of one task. Dependencies are added before the state is judged. */
export function updateTask(plan: TasksContext, id: string, change: TaskChange): TasksContext {
  const before = taskOf(plan, id);
  const { status, add_blocks = [], add_blocked_by = [], subject, description, owner, metadata } = change;
  if (status === 'deleted') return withoutTask(plan, id);
  checkNamed(plan, id, add_blocks, 'add_blocks');
  checkNamed(plan, id, add_blocked_by, 'add_blocked_by');
  const edges = [
    ...add_blocks.map((other) => ({ first: id, then: other })),
    ...add_blocked_by.map((other) => ({ first: other, then: id })),
  ];
  const tasks = edges.length === 0 ? plan.tasks : withEdges(plan.tasks, edges);
  const changed: Task = {
    ...taskOf({ tasks }, id),
    ...(subject !== undefined && { subject }),
    ...(description !== undefined && { description }),
    ...(owner !== undefined && { owner }),
    ...(metadata !== undefined && { metadata: overlay(before.metadata, metadata) }),
    ...(status !== undefined && { state: status }),
  };
  if (changed.state !== before.state && changed.state !== 'pending') checkUnblocked(tasks, changed);
  return bounded(plan, { tasks: tasks.map((task) => (task.id === id ? changed : task)) });
}

/** The tasks a task waits for that are not completed. */
export function openBlockers(plan: TasksContext, task: Task): readonly string[] {
  const open = new Set(plan.tasks.filter((it) => it.state !== 'completed').map((it) => it.id));
  return task.blocked_by.filter((id) => open.has(id));
}

function nextId(plan: TasksContext): string {
  const numbers = plan.tasks.map((task) => (/^\d{1,15}$/.test(task.id) ? Number(task.id) : 0));
  return String(Math.max(0, ...numbers) + 1);
}

function withoutTask(plan: TasksContext, id: string): TasksContext {
  const without = (ids: string[]) => (ids.includes(id) ? ids.filter((other) => other !== id) : ids);
  const tasks = plan.tasks.filter((task) => task.id !== id);
  return {
    tasks: tasks.map((task) =>
      task.blocks.includes(id) || task.blocked_by.includes(id)
        ? { ...task, blocks: without(task.blocks), blocked_by: without(task.blocked_by) }
        : task,
    ),
  };
}

function checkNamed(plan: TasksContext, id: string, named: readonly string[], list: string): void {
  if (new Set(named).size < named.length) throw new ToolError(`"${list}" names a task twice.`);
  if (named.includes(id)) throw new ToolError(`Task "${id}" cannot wait for itself.`);
  for (const other of named) taskOf(plan, other);
}

/** `first` has to be completed before `then`. */
interface Edge {
  readonly first: string;
  readonly then: string;
}

function withEdges(tasks: readonly Task[], edges: readonly Edge[]): Task[] {
  const next = new Map(tasks.map((task) => [task.id, { blocks: new Set(task.blocks), by: new Set(task.blocked_by) }]));
  for (const { first, then } of edges) {
    next.get(first)?.blocks.add(then);
    next.get(then)?.by.add(first);
  }
  const result = tasks.map((task) => {
    const lists = next.get(task.id);
    const same = lists?.blocks.size === task.blocks.length && lists.by.size === task.blocked_by.length;
    return lists === undefined || same ? task : { ...task, blocks: [...lists.blocks], blocked_by: [...lists.by] };
  });
  for (const task of result) {
    if (task.blocks.length > MAX_DEPENDENCIES || task.blocked_by.length > MAX_DEPENDENCIES) {
      throw new ToolError(`Task "${task.id}" would have more than ${MAX_DEPENDENCIES} dependencies of one kind.`);
    }
  }
  const waiting = waitingForThemselves(result);
  if (waiting.length > 0) {
    const named = waiting.slice(0, 10).join('", "');
    throw new ToolError(`The tasks "${named}" would wait for each other in a circle.`);
  }
  return result;
}

/** The tasks that can never begin: those on a circle, and those behind one. */
function waitingForThemselves(tasks: readonly Task[]): string[] {
  const open = new Map(tasks.map((task) => [task.id, task.blocked_by.length]));
  const blocks = new Map(tasks.map((task) => [task.id, task.blocks]));
  const free = tasks.filter((task) => task.blocked_by.length === 0).map((task) => task.id);
  for (let id = free.pop(); id !== undefined; id = free.pop()) {
    open.delete(id);
    for (const other of blocks.get(id) ?? []) {
      const left = (open.get(other) ?? 0) - 1;
      open.set(other, left);
      if (left === 0) free.push(other);
    }
  }
  return [...open.keys()];
}

function checkUnblocked(tasks: readonly Task[], task: Task): void {
  const open = openBlockers({ tasks: [...tasks] }, task);
  if (open.length === 0) return;
  throw new ToolError(
    `Task "${task.id}" cannot be ${task.state} while it waits for "${open.join('", "')}", not completed yet.`,
  );
}

function overlay(before: Metadata, change: Metadata): Metadata {
  const kept = Object.entries({ ...before, ...change }).filter(([, value]) => value !== null);
  const metadata = Object.fromEntries(kept);
  if (Buffer.byteLength(JSON.stringify(metadata)) > MAX_TASK_METADATA_BYTES) {
    throw new ToolError(`The metadata of a task may have ${MAX_TASK_METADATA_BYTES} bytes as JSON.`);
  }
  return metadata;
}

/** A plan that is too large for another reason may still be changed, as long as it does not grow. */
function bounded(before: TasksContext, after: TasksContext): TasksContext {
  const invalid = after.tasks.find((task, at) => task !== before.tasks[at] && !Task.safeParse(task).success);
  if (invalid !== undefined) throw new ToolError(`Task "${invalid.id}" has a text that is empty or too long.`);
  const size = JSON.stringify(after).length;
  if (size > MAX_PLAN_CHARS && size > JSON.stringify(before).length) {
    throw new ToolError(`The plan would be longer than ${MAX_PLAN_CHARS} characters. Shorten or delete tasks.`);
  }
  return after;
}
