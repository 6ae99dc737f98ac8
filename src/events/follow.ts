import { framesAfter } from './frames.js';
import type { EventBatch, EventLog, SessionRef, Signal } from './event-log.js';

/** What a follower sees: bytes to pass on, a stretch that is gone, or the end of the session. */
export type Followed = { type: 'batch'; batch: EventBatch } | { type: 'gap'; up_to: number } | { type: 'end' };

export interface FollowOptions {
  /** Numbers above this are delivered. */
  readonly after: number;
  /** `last_seq` of the session as committed: what must exist even if the log has lost it. */
  readonly committed: number;
  /** A holder works on the session, or died at it: it may have given numbers beyond the committed ones. */
  readonly live: boolean;
  readonly signal: AbortSignal;
  /** Unread bytes at which the follower is cut off. */
  readonly max_buffer: number;
}

/** The reader did not keep up; it resumes by its cursor. */
export class SlowReaderError extends Error {
  override readonly name = 'SlowReaderError';
}

const PAGE = 64;

/** A holder that goes on with a dead one's work leaves out a million numbers; nobody is further ahead of the record than two such. */
const MAX_AHEAD = 2 ** 21;

/**
 * How long committed numbers may take to reach the log before they count as lost. Events are committed a moment before they are appended,
 * also the last ones of a session that reads as idle already.
 */
const GRACE_MS = 2000;

/**
 * Replays what is above the cursor and goes on live, each number at most once, in order. It subscribes before it reads, drops what is
 * not above the cursor, fills holes from the log, and says `gap` where the log cannot fill them. What was heard behind a hole comes from the
 * log as well: should that have lost it, it is the middle of something that its holder says anew. Ends on abort and on session end.
 */
export async function* follow(
  log: EventLog,
  ref: SessionRef,
  options: FollowOptions,
): AsyncGenerator<Followed, void, void> {
  const inbox = new Inbox(options.max_buffer);
  const unsubscribe = await log.subscribe(ref, (signal) => inbox.push(signal));
  const onAbort = () => inbox.close();
  options.signal.addEventListener('abort', onAbort, { once: true });
  if (options.signal.aborted) inbox.close();
  let cursor = options.after;
  try {
    const top = await log.top(ref);
    const known = Math.max(top ?? 0, options.committed);
    // An idle session has given no numbers beyond these: the cursor is another's, and would hide what comes. At work, it may be from an
    // attempt that died; whoever goes on numbers far above it.
    if (cursor > known + (options.live ? MAX_AHEAD : 0)) cursor = yield* gap(known);
    cursor = yield* replay(log, ref, cursor, Infinity, inbox);
    for (;;) {
      const signal = await inbox.next(cursor < options.committed ? GRACE_MS : undefined);
      if (signal === 'closed') return;
      if (signal === 'timeout') {
        cursor = yield* replay(log, ref, cursor, Infinity, inbox);
        if (cursor < options.committed) cursor = yield* gap(options.committed);
        continue;
      }
      if (signal.type === 'end') return yield { type: 'end' };
      if (signal.type === 'resync') {
        cursor = yield* replay(log, ref, cursor, Infinity, inbox);
        continue;
      }
      const { batch } = signal;
      if (batch.last <= cursor) continue;
      if (batch.prev > cursor) {
        cursor = yield* replay(log, ref, cursor, batch.last, inbox);
        if (batch.last <= cursor) continue;
        if (batch.prev > cursor) {
          cursor = yield* gap(batch.prev);
          continue;
        }
      }
      yield* deliver(batch, cursor);
      cursor = batch.last;
    }
  } finally {
    options.signal.removeEventListener('abort', onAbort);
    unsubscribe();
  }
}

/** Reads from the log until it holds nothing above the cursor, or `until` is reached; returns the new cursor. */
async function* replay(
  log: EventLog,
  ref: SessionRef,
  from: number,
  until: number,
  inbox: Inbox,
): AsyncGenerator<Followed, number, void> {
  let cursor = from;
  while (cursor < until && !inbox.closed) {
    const batches = await log.read(ref, cursor, PAGE);
    if (batches.length === 0) break;
    for (const batch of batches) {
      if (batch.last <= cursor) continue;
      if (batch.prev > cursor) cursor = yield* gap(batch.prev);
      yield* deliver(batch, cursor);
      cursor = batch.last;
    }
  }
  return cursor;
}

function* deliver(batch: EventBatch, cursor: number): Generator<Followed, void, void> {
  yield batch.first > cursor
    ? { type: 'batch', batch }
    : {
        type: 'batch',
        batch: { ...batch, prev: cursor, first: cursor + 1, frames: framesAfter(batch.frames, cursor) },
      };
}

function* gap(up_to: number): Generator<Followed, number, void> {
  yield { type: 'gap', up_to };
  return up_to;
}

/** Signals on their way to one reader, bounded in bytes. */
class Inbox {
  closed = false;
  private readonly queue: Signal[] = [];
  private bytes = 0;
  private failure: Error | undefined;
  private wake: (() => void) | undefined;

  constructor(private readonly max: number) {}

  push(signal: Signal): void {
    if (this.closed || this.failure) return;
    this.bytes += signal.type === 'batch' ? signal.batch.frames.length : 0;
    if (this.bytes > this.max && this.queue.length > 0) {
      this.failure = new SlowReaderError('the reader did not keep up');
      this.queue.length = 0;
    } else {
      this.queue.push(signal);
    }
    this.wake?.();
  }

  close(): void {
    this.closed = true;
    this.wake?.();
  }

  /** The next signal, or that the wait is over. */
  async next(timeout_ms?: number): Promise<Signal | 'closed' | 'timeout'> {
    if (!this.closed && !this.failure && this.queue.length === 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        if (timeout_ms !== undefined) timer = setTimeout(resolve, timeout_ms);
      });
      clearTimeout(timer);
      this.wake = undefined;
    }
    if (this.closed) return 'closed';
    if (this.failure) throw this.failure;
    const signal = this.queue.shift();
    if (signal === undefined) return 'timeout';
    if (signal.type === 'batch') this.bytes -= signal.batch.frames.length;
    return signal;
  }
}
