import { permissionsOf } from './session-permissions.js';
import type { SessionRecordView, SessionStatus, SessionView } from './session.schema.js';
import type { SessionRecord, StatefulRecord } from './session.store.js';
import { storedState } from './stored-state.js';

export function toRecordView(record: StatefulRecord): SessionRecordView {
  const { tasks_context } = storedState(record.state);
  return {
    id: record.id,
    external_id: record.external_id,
    user_id: record.user_id,
    agent_id: record.agent_id,
    source: record.source,
    config: record.config,
    state: { permission_context: permissionsOf(record.config), tasks_context },
    forked_from: record.forked_from,
    created_at: record.created_at.toISOString(),
    updated_at: record.updated_at.toISOString(),
  };
}

export function toView(record: StatefulRecord): SessionView {
  const { is_running } = record;
  return { session: toRecordView(record), is_running, status: statusOf(record), team: null };
}

/** At work comes before parked, parked before idle. */
export function statusOf({ is_running, open_calls }: SessionRecord): SessionStatus {
  if (is_running) return 'running';
  if (open_calls.length === 0) return 'idle';
  return open_calls.some((call) => call.kind === 'confirm') ? 'awaiting_permission' : 'awaiting_external_result';
}
