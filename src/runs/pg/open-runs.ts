import type { Principal } from '../../auth/principal.js';
import type { Sql } from '../../platform/database/database.js';
import type { Blocking, OpenCall, RunStatus, StopMode, StopRequest } from '../run.store.js';
import * as accept from './accept.sql.js';

/** Stops what a session, whose lease row is locked, has not ended yet; with `runId` that run alone. */
export async function stop(
  sql: Sql,
  { tenant_id, user_id }: Principal,
  sessionId: string,
  mode: StopMode,
  runId?: string,
): Promise<StopRequest> {
  const rows = await sql.run<{ id: string; status: RunStatus }>('run-stop', accept.STOP, [
    tenant_id,
    sessionId,
    user_id,
    mode,
    runId ?? null,
  ]);
  const begun = rows.find((row) => row.status !== 'queued');
  const cancelled = rows.filter((row) => row.status === 'queued').map((row) => row.id);
  return { run_id: begun?.id ?? null, status: begun?.status ?? null, cancelled };
}

/** The run that keeps a session busy. */
export async function blocking(sql: Sql, { tenant_id }: Principal, sessionId: string): Promise<Blocking | null> {
  const [row] = await sql.run<{
    run_id: string;
    status: RunStatus;
    open_calls: OpenCall[] | null;
    approval_ids: string[];
  }>('run-blocking', accept.BLOCKING, [tenant_id, sessionId]);
  if (!row) return null;
  const { run_id, status, open_calls, approval_ids } = row;
  return { run_id, status, tool_call_ids: (open_calls ?? []).map((it) => it.tool_call_id), approval_ids };
}
