import type { PermissionContext } from '../permissions/permission-context.js';
import type { TasksContext } from './session-state.js';

/** JSON Patch operations (RFC 6902) that make `after` of `before`; none when both are the same JSON. */
export type Differ = (before: unknown, after: unknown) => object[];

/** What clients are shown of a session's state. */
export interface VisibleState {
  readonly tasks_context: TasksContext;
  readonly permission_context: PermissionContext;
}

/**
 * The value of a `state_updated` event: what changed, whole, and the patch from one state to the other, with paths such as
 * `/tasks_context/tasks/0/state`. Null when nothing did. Parts that are the same object are not compared.
 */
export function stateUpdate(before: VisibleState, after: VisibleState, differ: Differ): Record<string, unknown> | null {
  const tasks = changeOf('tasks_context', before, after, differ);
  const permissions = changeOf('permission_context', before, after, differ);
  if (tasks === null && permissions === null) return null;
  const patch = [...(tasks?.patch ?? []), ...(permissions?.patch ?? [])];
  return { ...tasks?.value, ...permissions?.value, patch };
}

function changeOf<K extends keyof VisibleState>(
  part: K,
  before: VisibleState,
  after: VisibleState,
  differ: Differ,
): { value: Record<string, unknown>; patch: object[] } | null {
  if (before[part] === after[part]) return null;
  const patch = differ({ [part]: before[part] }, { [part]: after[part] });
  return patch.length === 0 ? null : { value: { [part]: after[part] }, patch };
}
