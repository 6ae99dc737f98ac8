import type { SessionRef } from '../platform/redis/keys.js';

export type { SessionRef };

/**
 * A run of consecutive events as the lease holder numbered and serialised them. `frames` is their native SSE text,
 * `id: <seq>\ndata: <json>\n\n` for each: followers copy these bytes, nothing on the way parses them.
 */
export interface EventBatch {
  /** The last number before this batch; a follower that is not there yet has a hole. */
  readonly prev: number;
  readonly first: number;
  readonly last: number;
  readonly frames: Buffer;
}

export interface AppendBatch extends SessionRef, Omit<EventBatch, 'frames'> {
  /** Fencing token of the lease under which the events were made. */
  readonly token: number;
  readonly frames: string;
  /** The last number of this writer that the log has acknowledged, 0 when it has none. */
  readonly acknowledged: number;
  /** Events below this number may be trimmed: the last checkpoint of the open reply, or its start. */
  readonly keep_from: number;
  /** Set only after the session was seen to exist: an append by itself never brings back the log of a deleted one. */
  readonly create: boolean;
}

/**
 * `missing`: there is no log to append to (new session, lost or deleted). `lost`: what the log has acknowledged is not in it any more, and
 * nothing was appended. `fenced`: a later holder has written.
 */
export type AppendResult = 'ok' | 'missing' | 'lost' | 'fenced';

export type Signal = { type: 'batch'; batch: EventBatch } | { type: 'end' } | { type: 'resync' };

/**
 * The event log of sessions: a bounded window on one numbered sequence each. Only a session's lease holder appends; anyone may read.
 * An append that is repeated (its answer was lost) is acknowledged, never doubled. Nothing waits without a bound: what takes too long fails.
 */
export abstract class EventLog {
  abstract append(batch: AppendBatch): Promise<AppendResult>;

  /** Up to `limit` batches that hold numbers above `after`, oldest first. */
  abstract read(ref: SessionRef, after: number, limit: number): Promise<EventBatch[]>;

  /** The highest number in the log, or null when there is none. */
  abstract top(ref: SessionRef): Promise<number | null>;

  /** Hears every batch appended after it resolved; `resync` says that some may have been missed. Returns the way to stop. */
  abstract subscribe(ref: SessionRef, listener: (signal: Signal) => void): Promise<() => void>;

  /** Forgets the log of a deleted session and tells its followers to end. */
  abstract remove(ref: SessionRef): Promise<void>;
}

export interface EventLogLimits {
  readonly max_entries: number;
  readonly ttl_seconds: number;
}
