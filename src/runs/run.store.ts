import type { CallKind } from '../approvals/approval.store.js';
import type { NewApproval } from '../approvals/approval.store.js';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { ErrorInfo, ErrorType, Msg, Usage } from '../core/messages/message.js';
import type { HintBlock, ToolResultBlock } from '../core/messages/block.js';
import type { SessionState } from '../core/state/session-state.js';
import type { SessionRef } from '../platform/redis/keys.js';
import type { MessageRow, StepData } from '../sessions/transcript-rows.js';
import type { Delivered, NewHint } from './inbox.js';
import type { Answer, Answered, TurnedDown } from './answers.js';

/**
 * queued → running → completed | failed | interrupted (stopped at work or while it waited), or cancelled (stopped before it started).
 * waiting: parked on a human or an external result; back to running with the answer.
 */
export type RunStatus = 'queued' | 'running' | 'waiting' | 'completed' | 'failed' | 'interrupted' | 'cancelled';

/** `rollback`: the reply that is stopped is removed from the transcript. */
export type StopMode = 'interrupt' | 'rollback';

/** What becomes of input for a session that is not idle. */
export type BusyPolicy = 'enqueue' | 'reject' | StopMode;

/** The right to work on a session: every write of its holder carries the token and does nothing once a later one was given. */
export interface Lease extends SessionRef {
  readonly owner: string;
  readonly token: number;
}

export interface RunInput {
  readonly session_id: string;
  readonly run_id: string;
  readonly reply_id: string;
  readonly messages: readonly Msg[];
  readonly on_busy: BusyPolicy;
  /** Messages that arrive within this many ms become one turn with these; 0 starts at once. */
  readonly coalesce_ms: number;
  /** The configuration this was prepared with; input prepared with an older one is `stale`. */
  readonly session_version: number;
  readonly config_version: number;
  /** What the reply is to end with, as JSON Schema. Messages that join a run leave that run's own. */
  readonly structured_schema: Record<string, unknown> | null;
}

/** Who would work on the run at once: a node with a free slot, or nobody. */
export interface Taker {
  readonly owner: string;
  readonly lease_ms: number;
  readonly has_slot: boolean;
}

/** The run that keeps a session from taking input, and the calls it waits for when it is parked. */
export interface Blocking {
  readonly run_id: string;
  readonly status: RunStatus;
  readonly tool_call_ids: readonly string[];
  /** What is asked about them. */
  readonly approval_ids: readonly string[];
}

export type Accepted =
  | { outcome: 'taken'; token: number; last_seq: number; state: unknown }
  | { outcome: 'queued'; blocked_by?: Blocking; stopped?: string }
  /** The messages joined a run that still collects. */
  | { outcome: 'joined'; run_id: string }
  /** A message of this id was accepted before, with that run. */
  | { outcome: 'duplicate'; run_id: string; status: RunStatus }
  /** The id belongs to another message of the session. */
  | { outcome: 'id_taken' }
  | { outcome: 'busy'; blocking: Blocking | null }
  | { outcome: 'full' }
  /** Agent, session or credentials were changed since this was prepared. */
  | { outcome: 'stale' }
  | { outcome: 'gone' };

/** What came from outside for a run that waits, for the session, or that its followers are to hear. */
export interface SignalInput {
  readonly id: string;
  /** Null: of no run. */
  readonly run_id: string | null;
  readonly kind: 'answer' | 'stop' | 'notice' | 'hint';
  readonly payload: unknown;
}

/** A run in the hands of its holder. `last_seq` counts the events of its `messages` already. */
export interface TakenRun {
  readonly run_id: string;
  readonly reply_id: string;
  readonly user_id: string;
  readonly attempt: number;
  /** How long it has worked already, over all attempts. */
  readonly work_ms: number;
  readonly stop: StopMode | null;
  /** The calls it waited for when it was taken, without those that were answered. */
  readonly open_calls: readonly string[];
  readonly messages: readonly Msg[];
  readonly last_seq: number;
  /** What the session remembers, as it stands. */
  readonly state: unknown;
  /** What it remembered before the run first changed that; null when the run has not. */
  readonly state_before: unknown;
  readonly structured_schema: Record<string, unknown> | null;
}

/**
 * What a session has for its holder. `next`: a run that starts. `resumed`: one that waited and was answered or stopped. `handed_over`: one
 * that its holder gave back in mid-reply. `abandoned`: one whose holder is gone; numbers were jumped over. `idle`: only signals, or nothing.
 */
export interface Work {
  readonly kind: 'next' | 'resumed' | 'handed_over' | 'abandoned' | 'idle';
  readonly run: TakenRun | null;
  readonly signals: readonly SignalInput[];
  readonly last_seq: number;
  /** The last number that is surely on record: beyond it a dead holder may have given more. */
  readonly committed_seq: number;
}

export interface Claim extends Work {
  readonly lease: Lease;
}

export interface Step {
  readonly reply_id: string;
  readonly run_id: string;
  readonly step: number;
  /** Number of the reply's first event. */
  readonly position: number;
  readonly data: StepData;
}

/** `unknown`: it had started when its holder died, and is never run again. */
export type ToolCallState = 'started' | 'settled' | 'unknown';

export interface ToolCallEntry {
  readonly tool_call_id: string;
  readonly name: string;
  readonly state: ToolCallState;
  readonly result: ToolResultBlock | null;
}

/** A model call that is over: what it used, and what that cost where the price is known. Append-only. */
export interface ModelCallEntry extends Usage {
  readonly id: string;
  readonly agent_id: string;
  readonly user_id: string;
  readonly credential_id: string | null;
  readonly provider: string;
  readonly model: string;
  readonly attempt: number;
  readonly is_fallback: boolean;
  readonly outcome: 'completed' | 'interrupted' | 'failed';
  readonly error_type: ErrorType | null;
  /** A decimal number. */
  readonly cost: string | null;
  readonly currency: string | null;
  readonly started_at: string;
  readonly ended_at: string;
}

/**
 * What is written after every step. `consumed`: signals that have become events. `state`: what the session remembers now, null when that is
 * unchanged; it comes with `state_before`, what it remembered before the run.
 */
export interface Checkpoint {
  readonly last_seq: number;
  readonly step: Step;
  readonly tools: readonly ToolCallEntry[];
  readonly calls: readonly ModelCallEntry[];
  readonly consumed: readonly string[];
  readonly state: SessionState | null;
  readonly state_before: SessionState | null;
}

/** The last events of a run as they will be published: whoever finds them missing from the log can say them again. */
export interface Ending {
  readonly token: number;
  /** Number of the first of them. */
  readonly seq: number;
  /** As they stand in the log. */
  readonly frames: string;
}

export interface Finish extends Checkpoint {
  readonly run_id: string;
  readonly status: 'completed' | 'failed' | 'interrupted';
  readonly usage: Usage | null;
  readonly error: ErrorInfo | null;
  readonly ending: Ending;
  /** Withdraws the reply from the transcript, and what the session remembers of it. */
  readonly remove: boolean;
  /** Ends what is still asked of people for this run: to be set when it was ever parked. */
  readonly voids: boolean;
}

export interface OpenCall {
  readonly tool_call_id: string;
  readonly name: string;
  readonly kind: CallKind;
}

export interface Park extends Checkpoint {
  readonly run_id: string;
  readonly usage: Usage | null;
  /** What is asked of somebody outside. */
  readonly ending: Ending;
  readonly open_calls: readonly OpenCall[];
  /** Those of them that were open when the run was taken: one that was answered meanwhile stays answered. */
  readonly known_calls: readonly string[];
  /** A call that was asked about before keeps what was asked. */
  readonly approvals: readonly NewApproval[];
  /** How long somebody has to answer them. */
  readonly approval_ttl_ms: number;
}

/**
 * `released`: the session is free. `pending`: there is more to do and the lease is still held. `stopped`: nothing was written, somebody
 * asked first to stop the run. `fenced`: nothing was written, a later holder has the session.
 */
export type FinishOutcome = { outcome: 'released' | 'pending' | 'fenced' } | { outcome: 'stopped'; mode: StopMode };

/** `held`: written. `stopped`: written too, and the run is to stop. `hints`: how many wait. */
export type CheckpointOutcome =
  { outcome: 'held'; hints: number } | { outcome: 'fenced' } | { outcome: 'stopped'; mode: StopMode; hints: number };

export interface StopRequest {
  /** The run that was at work or waited, if any. */
  readonly run_id: string | null;
  readonly status: RunStatus | null;
  readonly cancelled: string[];
}

/** A lease that is still ours, and the run at work under it if somebody asked to stop that. */
export interface Renewed extends SessionRef {
  readonly stop_run_id: string | null;
  readonly stop_mode: StopMode | null;
}

/** The rest tells whether a holder whose lease ran out had a database to renew it in: only then does the attempt count. */
export interface ClaimOptions {
  readonly limit: number;
  /** The newest stretch in which this node could not reach the database. */
  readonly outage: { readonly from: Date; readonly to: Date } | null;
  /** How long a holder may need to renew once the database is back. */
  readonly grace_ms: number;
}

/** The ledger of work and the leases of sessions. All decisions are made under the row of the session's lease. */
export abstract class RunStore {
  abstract accept(principal: Principal, input: RunInput, taker: Taker, maxPending: number): Promise<Accepted>;
  /** Answers calls of a run that waits. Each call is answered once; rules that are granted with it become the session's. */
  abstract answer(principal: Principal, sessionId: string, answer: Answer): Promise<Answered>;
  /** Turns down all that the parked run of a session waits for: it goes on with `hint` instead. Repeated by the id of the hint. */
  abstract turnDown(principal: Principal, sessionId: string, hint: HintBlock): Promise<TurnedDown>;
  /** Turns down what nobody answered in time, in up to `limit` sessions; returns those that go on. */
  abstract expireApprovals(system: SystemPrincipal, limit: number): Promise<SessionRef[]>;
  /** Wakes an idle session for `hint`; a parked one hears it when it goes on. One that waits already is not delivered twice. */
  abstract deliverHint(principal: Principal, sessionId: string, hint: NewHint): Promise<Delivered>;
  /** Has the holder of a session say a CUSTOM event on its log. */
  abstract notify(
    principal: Principal,
    sessionId: string,
    name: string,
    value: Record<string, unknown>,
  ): Promise<Delivered>;
  /** Hints that wait, oldest first, at most 100. */
  abstract hints(lease: Lease): Promise<SignalInput[]>;
  /** Begins a run without messages of its own in a session that is held, for the hints that wait there. Null when fenced. */
  abstract wake(lease: Lease, names: { run_id: string; reply_id: string }): Promise<Work | null>;
  /** Puts the reply's newest step on record, and how far the log is numbered. */
  abstract checkpoint(lease: Lease, checkpoint: Checkpoint): Promise<CheckpointOutcome>;
  /** Ends a run. Repeated after a lost answer it says what came of the first time. */
  abstract finish(lease: Lease, finish: Finish): Promise<FinishOutcome>;
  /** Leaves a run to whoever answers its open calls. */
  abstract park(lease: Lease, park: Park): Promise<FinishOutcome>;
  /** Gives a session back, a run in mid-reply included: another node goes on from its last checkpoint. False when fenced. */
  abstract handOver(lease: Lease, runId: string | null, lastSeq: number): Promise<boolean>;
  /** Gives the session back when nothing is left to do in it; `consumed` signals are done with. */
  abstract release(lease: Lease, lastSeq: number, consumed: readonly string[]): Promise<FinishOutcome>;
  /** What comes next in a session that is held; asked again after a lost answer it gives the same run. Null when fenced. */
  abstract next(lease: Lease): Promise<Work | null>;
  /** Takes sessions with work that nobody holds: what was begun first, then by tenant share, oldest first. */
  abstract claim(system: SystemPrincipal, taker: Omit<Taker, 'has_slot'>, options: ClaimOptions): Promise<Claim[]>;
  /** Extends leases; returns those that are still ours. */
  abstract renew(system: SystemPrincipal, leases: readonly Lease[], leaseMs: number): Promise<Renewed[]>;
  /** Those of the leases whose run is to stop. */
  abstract stops(system: SystemPrincipal, leases: readonly Lease[]): Promise<Renewed[]>;
  /** The steps of a reply that are on record, oldest first. */
  abstract steps(lease: Lease, replyId: string): Promise<MessageRow[]>;
  /** Whether the session still exists: asked before a missing log is created, so that a deleted session's does not come back. */
  abstract exists(ref: SessionRef): Promise<boolean>;
  /** Stops a session's run and cancels what is queued; with `runId` only that run. */
  abstract requestStop(principal: Principal, sessionId: string, mode: StopMode, runId?: string): Promise<StopRequest>;
  /** Ends all leases at once: for a process that knows it is alone on the database. */
  abstract expireAll(system: SystemPrincipal): Promise<number>;
}
