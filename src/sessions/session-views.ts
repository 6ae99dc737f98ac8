import { permissionsOf } from './session-permissions.js';
import { type SessionRecordView, type SessionView, statusOf } from './session.schema.js';
import type { StatefulRecord } from './session.store.js';
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
