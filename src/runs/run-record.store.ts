import type { Principal } from '../auth/principal.js';
import type { ErrorInfo, Usage } from '../core/messages/message.js';
import type { Page } from '../platform/http/wire.js';
import type { OpenCall, RunStatus, StopMode, ToolCallState } from './run.store.js';

export interface RunRecord {
  readonly id: string;
  readonly session_id: string;
  readonly agent_id: string;
  readonly reply_id: string;
  readonly status: RunStatus;
  readonly attempt: number;
  readonly accepted_at: Date;
  readonly started_at: Date | null;
  readonly finished_at: Date | null;
  readonly work_ms: number;
  readonly usage: Usage | null;
  readonly error: ErrorInfo | null;
  readonly stop_requested_at: Date | null;
  readonly stop_requested_by: string | null;
  readonly stop_mode: StopMode | null;
  readonly open_calls: OpenCall[] | null;
  readonly owner: string | null;
  /** It waits, but for nothing any more: all its calls are answered, or it was stopped. */
  readonly goes_on: boolean;
}

/** What happened to a run: `event` names it, the rest belongs to it. */
export interface TrailEntry {
  readonly at: string;
  readonly event: string;
  readonly [detail: string]: unknown;
}

export interface RunTrail {
  readonly trail: TrailEntry[];
  readonly steps: { step: number; at: string }[];
  readonly tool_calls: {
    tool_call_id: string;
    name: string;
    state: ToolCallState;
    started_at: string;
    settled_at: string | null;
  }[];
  readonly lease: { owner: string | null; token: number; expires_at: string | null } | null;
}

export interface RunQuery {
  readonly limit: number;
  readonly cursor?: string;
  readonly status?: RunStatus;
}

/** The runs of a caller, to look at. A foreign one reads as null. */
export abstract class RunRecordStore {
  abstract get(principal: Principal, id: string): Promise<RunRecord | null>;
  /** The runs of a session, newest first. */
  abstract list(principal: Principal, sessionId: string, query: RunQuery): Promise<Page<RunRecord>>;
  abstract trail(principal: Principal, id: string): Promise<RunTrail | null>;
  /** The run at work, else the one that waits, else the newest one. */
  abstract current(principal: Principal, sessionId: string): Promise<RunRecord | null>;
}
