import { EMPTY_STATE, SessionState } from '../core/state/session-state.js';

/** The state of a session as it is stored. A part that is missing, or that this version does not understand, is at its default. */
export function storedState(value: unknown): SessionState {
  const given = typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  // Most sessions remember nothing; and the same object tells others that nothing has changed.
  if (Object.keys(given).length === 0) return EMPTY_STATE;
  const { tasks_context, tools_context, window_context } = SessionState.shape;
  return {
    tasks_context: tasks_context.safeParse(given['tasks_context']).data ?? EMPTY_STATE.tasks_context,
    tools_context: tools_context.safeParse(given['tools_context']).data ?? EMPTY_STATE.tools_context,
    window_context: window_context.safeParse(given['window_context']).data ?? EMPTY_STATE.window_context,
  };
}
