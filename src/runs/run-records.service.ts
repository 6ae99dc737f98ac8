import { Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { notFound } from '../platform/http/errors.js';
import type { Page } from '../platform/http/wire.js';
import { statusOf } from '../sessions/session.schema.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { type RunRecord, RunRecordStore, type RunTrail, type TrailEntry } from './run-record.store.js';
import type { RunExplained, RunListQuery, RunView, SessionStatusView, TaskState } from './run.schema.js';
import type { RunStatus } from './run.store.js';

const TASK_STATE: Record<RunStatus, TaskState> = {
  queued: 'RUNNING',
  running: 'RUNNING',
  waiting: 'RUNNING',
  completed: 'FINISHED',
  failed: 'ERROR',
  interrupted: 'STOPPED',
  cancelled: 'STOPPED',
};

/** Runs to look at: how they stand, and what happened to them. */
@Injectable()
export class RunRecords {
  constructor(
    private readonly records: RunRecordStore,
    private readonly sessions: SessionsService,
  ) {}

  async get(principal: Principal, id: string): Promise<RunView> {
    return toView(await this.record(principal, id));
  }

  async list(principal: Principal, sessionId: string, query: RunListQuery): Promise<Page<RunView>> {
    const session = await this.sessions.record(principal, sessionId);
    const page = await this.records.list(principal, session.id, query);
    return { ...page, rows: page.rows.map(toView) };
  }

  async explain(principal: Principal, id: string): Promise<RunExplained> {
    const run = await this.record(principal, id);
    const trail = await this.records.trail(principal, id);
    if (!trail) throw notFound('run', id);
    return { run: toView(run), timeline: timelineOf(run, trail) };
  }

  async status(principal: Principal, sessionId: string, agentId?: string): Promise<SessionStatusView> {
    const session = await this.sessions.record(principal, sessionId, agentId);
    const run = await this.records.current(principal, session.id);
    const status = statusOf(session);
    const task_state = status === 'running' ? 'RUNNING' : run ? TASK_STATE[run.status] : 'IDLE';
    return { session_id: session.id, status, task_state, run_id: run?.id ?? null };
  }

  private async record(principal: Principal, id: string): Promise<RunRecord> {
    const record = await this.records.get(principal, id);
    if (!record) throw notFound('run', id);
    return record;
  }
}

const iso = (date: Date | null): string | null => date?.toISOString() ?? null;

function toView(run: RunRecord): RunView {
  const { stop_requested_at, stop_requested_by, stop_mode, started_at } = run;
  return {
    id: run.id,
    session_id: run.session_id,
    agent_id: run.agent_id,
    reply_id: run.reply_id,
    status: run.status,
    attempt: run.attempt,
    accepted_at: run.accepted_at.toISOString(),
    started_at: iso(started_at),
    finished_at: iso(run.finished_at),
    queued_ms: started_at && started_at.getTime() - run.accepted_at.getTime(),
    work_ms: run.work_ms,
    usage: run.usage,
    error: run.error,
    stop: stop_requested_at && {
      requested_at: stop_requested_at.toISOString(),
      requested_by: stop_requested_by ?? '',
      mode: stop_mode ?? 'interrupt',
    },
    open_calls: run.status === 'waiting' ? (run.open_calls ?? []) : [],
  };
}

/** What the trail does not hold follows from the rows: a run that nothing happened to has no trail at all. */
function timelineOf(run: RunRecord, { trail, steps, tool_calls, lease }: RunTrail): TrailEntry[] {
  const entries: TrailEntry[] = [{ at: run.accepted_at.toISOString(), event: 'accepted' }];
  const isClaimed = trail.some((entry) => entry.event === 'claimed');
  if (run.started_at && !isClaimed) {
    entries.push({ at: run.started_at.toISOString(), event: 'started', by: 'the node that accepted it' });
  }
  entries.push(...trail.map((entry) => ({ ...entry, at: time(entry.at) })));
  for (const { step, at } of steps) entries.push({ at: time(at), event: 'step', step });
  for (const { tool_call_id, name, state, started_at, settled_at } of tool_calls) {
    entries.push({ at: time(started_at), event: 'tool_started', tool_call_id, name });
    if (settled_at) entries.push({ at: time(settled_at), event: `tool_${state}`, tool_call_id, name });
  }
  if (run.stop_requested_at) {
    const at = run.stop_requested_at.toISOString();
    entries.push({ at, event: 'stop_requested', by: run.stop_requested_by, mode: run.stop_mode });
  }
  if (run.finished_at) entries.push({ at: run.finished_at.toISOString(), event: run.status, node: run.owner });
  entries.sort((a, b) => Date.parse(a.at) - Date.parse(b.at));
  if (lease) {
    const { owner, token, expires_at } = lease;
    const expires = expires_at && time(expires_at);
    entries.push({ at: new Date().toISOString(), event: 'held', node: owner, lease_token: token, expires_at: expires });
  }
  return entries;
}

const time = (at: string): string => new Date(at).toISOString();
