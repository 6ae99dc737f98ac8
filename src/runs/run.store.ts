import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { ErrorInfo, Msg, Usage } from '../core/messages/message.js';
import type { SessionRef } from '../platform/redis/keys.js';
import type { MessageRow, StepData } from '../sessions/transcript-rows.js';

/** queued → running → completed | failed | interrupted (stopped at work), or cancelled (stopped before it started). */
export type RunStatus = 'queued' | 'running' | 'completed' | 'failed' | 'interrupted' | 'cancelled';

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
}

/** Who would work on the run at once: a node with a free slot, or nobody. */
export interface Taker {
  readonly owner: string;
  readonly lease_ms: number;
  readonly has_slot: boolean;
}

export type Accepted =
  | { outcome: 'taken'; token: number; last_seq: number }
  | { outcome: 'queued' }
  /** A message of this id was accepted before, with that run. */
  | { outcome: 'duplicate'; run_id: string; status: RunStatus }
  /** The id belongs to another message of the session. */
  | { outcome: 'id_taken' }
  | { outcome: 'full' }
  | { outcome: 'gone' };

/** A run in the hands of its holder. `last_seq` counts the events of its `messages` already. */
export interface TakenRun {
  readonly run_id: string;
  readonly reply_id: string;
  readonly user_id: string;
  readonly messages: readonly Msg[];
  readonly last_seq: number;
}

/** A claimed session: with the run a dead holder left behind, or with the next one of its queue. */
export type Claim =
  | { lease: Lease; kind: 'next'; run: TakenRun }
  | { lease: Lease; kind: 'abandoned'; run: Omit<TakenRun, 'messages'> & { committed_seq: number; attempt: number } };

export interface Step {
  readonly reply_id: string;
  readonly run_id: string;
  readonly step: number;
  /** Number of the reply's first event. */
  readonly position: number;
  readonly data: StepData;
}

export interface Finish {
  readonly run_id: string;
  readonly status: 'completed' | 'failed' | 'interrupted';
  readonly usage: Usage | null;
  readonly error: ErrorInfo | null;
  readonly last_seq: number;
  readonly step: Step;
}

/** `released`: the session is free. `pending`: inputs wait and the lease is still held. `fenced`: a later holder has it; nothing was written. */
export type FinishOutcome = 'released' | 'pending' | 'fenced';

export interface StopRequest {
  /** The run that was at work, if any. */
  readonly run_id: string | null;
  readonly cancelled: string[];
}

/** A lease that is still ours, and the run at work under it if somebody asked to stop that. */
export interface Renewed extends SessionRef {
  readonly stop_run_id: string | null;
}

/** The ledger of work and the leases of sessions. All decisions are made under the row of the session's lease. */
export abstract class RunStore {
  abstract accept(principal: Principal, input: RunInput, taker: Taker, maxPending: number): Promise<Accepted>;
  /** Puts the reply's newest step on record, and how far the log is numbered. False when fenced. */
  abstract checkpoint(lease: Lease, step: Step, lastSeq: number): Promise<boolean>;
  abstract finish(lease: Lease, finish: Finish): Promise<FinishOutcome>;
  /** The next queued run of a session that is held. Null when none is left (then the lease was released) or when fenced. */
  abstract next(lease: Lease): Promise<TakenRun | null>;
  /** Takes a session with work that nobody holds, oldest first. */
  abstract claim(system: SystemPrincipal, taker: Omit<Taker, 'has_slot'>): Promise<Claim | null>;
  /** Extends leases; returns those that are still ours. */
  abstract renew(system: SystemPrincipal, leases: readonly Lease[], leaseMs: number): Promise<Renewed[]>;
  /** The steps of a reply that are on record, oldest first. */
  abstract steps(lease: Lease, replyId: string): Promise<MessageRow[]>;
  /** Whether the session still exists: asked before a missing log is created, so that a deleted session's does not come back. */
  abstract exists(ref: SessionRef): Promise<boolean>;
  /** Asks the running run to stop and cancels the queued ones. */
  abstract requestStop(principal: Principal, sessionId: string, by: string): Promise<StopRequest>;
  /** Ends all leases at once: for a process that knows it is alone on the database. */
  abstract expireAll(system: SystemPrincipal): Promise<number>;
}
