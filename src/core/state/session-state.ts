import { z } from 'zod';
import { Metadata, Timestamp } from '../messages/block.js';
import { storableJson } from '../messages/storable.js';

export const MAX_TASKS = 500;

export const TaskState = z.enum(['pending', 'in_progress', 'completed']).meta({ id: 'PlanTaskState' });
export type TaskState = z.infer<typeof TaskState>;

/** A step of the agent's plan. `blocked_by` names the tasks that must be completed first, `blocks` the inverse. */
export const Task = z
  .object({
    id: z.string().min(1).max(64),
    subject: z.string().min(1).max(1000),
    description: z.string().max(20_000),
    metadata: Metadata,
    created_at: Timestamp,
    state: TaskState,
    owner: z.string().max(256).nullable(),
    blocks: z.array(z.string()),
    blocked_by: z.array(z.string()),
  })
  .meta({ id: 'PlanTask' });
export type Task = z.infer<typeof Task>;

export const TasksContext = z.object({ tasks: z.array(Task).max(MAX_TASKS) }).meta({ id: 'TasksContext' });
export type TasksContext = z.infer<typeof TasksContext>;

/** Which groups of tools the agent has switched on. Those that are on by themselves stand here only when it switched them off. */
export const ToolsContext = z.object({ groups: z.record(z.string(), z.boolean()) }).meta({ id: 'ToolsContext' });
export type ToolsContext = z.infer<typeof ToolsContext>;

/**
 * Where the model's view of the conversation begins. Everything before `from` is told by `summary` alone: the messages before that message,
 * and of an assistant message its first `block` blocks.
 */
export const WindowContext = z
  .object({
    summary: z.string(),
    from: z.object({ message_id: z.string(), block: z.int().nonnegative() }).nullable(),
    /** How often the conversation was compressed. */
    compressions: z.int().nonnegative(),
    /** Tool results and media that were put aside; there is something to read with `read_offloaded` when above 0. */
    offloads: z.int().nonnegative(),
  })
  .meta({ id: 'WindowContext' });
export type WindowContext = z.infer<typeof WindowContext>;

/** What a session remembers beside its transcript. Only the holder of its lease writes it, with the steps of a run. */
export const SessionState = z
  .object({
    tasks_context: TasksContext.default({ tasks: [] }),
    tools_context: ToolsContext.default({ groups: {} }),
    window_context: WindowContext.default({ summary: '', from: null, compressions: 0, offloads: 0 }),
  })
  .meta({ id: 'SessionState' });
export type SessionState = z.infer<typeof SessionState>;

export const EMPTY_STATE: SessionState = Object.freeze(SessionState.parse({}));

/** The state of one session while a reply works on it. Its parts are never changed in place, so that a change is a new object. */
export class AgentState {
  constructor(private current: SessionState = EMPTY_STATE) {}

  get value(): SessionState {
    return this.current;
  }

  update<K extends keyof SessionState>(part: K, value: SessionState[K]): void {
    this.current = { ...this.current, [part]: storableJson(value) };
  }
}
