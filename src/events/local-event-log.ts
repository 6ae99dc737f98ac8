import {
  EventLog,
  type AppendBatch,
  type AppendResult,
  type EventBatch,
  type EventLogLimits,
  type SessionRef,
  type Signal,
} from './event-log.js';

interface LocalLog {
  token: number;
  readonly entries: EventBatch[];
  readonly listeners: Set<(signal: Signal) => void>;
  exists: boolean;
  bytes: number;
  used_at: number;
}

/** How many sessions keep their window, and how much they hold together; beyond it the one idle for longest forgets first. */
const MAX_SESSIONS = 10_000;
const MAX_TOTAL_BYTES = 256 * 1024 * 1024;

/** What one session may hold beside what its open reply needs. */
const MAX_SESSION_BYTES = 16 * 1024 * 1024;

/** The event log of a process that is alone: same contract as the one on Redis, nothing to install. */
export class LocalEventLog extends EventLog {
  private readonly logs = new Map<string, LocalLog>();
  private bytes = 0;

  constructor(
    private readonly limits: EventLogLimits,
    private readonly now: () => number = Date.now,
  ) {
    super();
  }

  async append(batch: AppendBatch): Promise<AppendResult> {
    const log = this.open(batch);
    if (!log.exists && !batch.create) return 'missing';
    const top = log.entries.at(-1)?.last ?? 0;
    if (top < batch.acknowledged) return 'lost';
    if (batch.last <= top) {
      return log.token === batch.token && log.entries.some((entry) => entry.last === batch.last) ? 'ok' : 'fenced';
    }
    const entry: EventBatch = {
      prev: batch.prev,
      first: batch.first,
      last: batch.last,
      frames: Buffer.from(batch.frames),
    };
    log.exists = true;
    log.token = batch.token;
    log.entries.push(entry);
    this.count(log, entry.frames.length);
    this.trim(log, batch.keep_from);
    this.touch(batch, log);
    for (const listener of log.listeners) listener({ type: 'batch', batch: entry });
    return 'ok';
  }

  async read(ref: SessionRef, after: number, limit: number): Promise<EventBatch[]> {
    const entries = this.logs.get(key(ref))?.entries ?? [];
    let start = entries.length;
    while (start > 0 && (entries[start - 1]?.last ?? 0) > after) start--;
    return entries.slice(start, start + limit);
  }

  async top(ref: SessionRef): Promise<number | null> {
    return this.logs.get(key(ref))?.entries.at(-1)?.last ?? null;
  }

  async subscribe(ref: SessionRef, listener: (signal: Signal) => void): Promise<() => void> {
    const log = this.open(ref);
    log.listeners.add(listener);
    return () => {
      log.listeners.delete(listener);
      if (!log.exists && log.listeners.size === 0 && this.logs.get(key(ref)) === log) this.logs.delete(key(ref));
    };
  }

  async remove(ref: SessionRef): Promise<void> {
    const log = this.logs.get(key(ref));
    if (!log) return;
    this.logs.delete(key(ref));
    this.count(log, -log.bytes);
    for (const listener of log.listeners) listener({ type: 'end' });
  }

  private open(ref: SessionRef): LocalLog {
    let log = this.logs.get(key(ref));
    if (!log) {
      log = { token: 0, entries: [], listeners: new Set(), exists: false, bytes: 0, used_at: this.now() };
      this.logs.set(key(ref), log);
    }
    return log;
  }

  private trim(log: LocalLog, keepFrom: number): void {
    let drop = 0;
    let bytes = log.bytes;
    for (const { last, frames } of log.entries) {
      const isFull = log.entries.length - drop > this.limits.max_entries || bytes > MAX_SESSION_BYTES;
      if (!isFull || last >= keepFrom) break;
      bytes -= frames.length;
      drop++;
    }
    if (drop === 0) return;
    log.entries.splice(0, drop);
    this.count(log, bytes - log.bytes);
  }

  private count(log: LocalLog, bytes: number): void {
    log.bytes += bytes;
    this.bytes += bytes;
  }

  /** Keeps the map in order of use, so that the first entries are the ones idle for longest. */
  private touch(ref: SessionRef, log: LocalLog): void {
    this.use(key(ref), log);
    const expired = log.used_at - this.limits.ttl_seconds * 1000;
    for (const [id, oldest] of this.logs) {
      const isBounded = this.logs.size <= MAX_SESSIONS && this.bytes <= MAX_TOTAL_BYTES;
      if (oldest === log || (isBounded && oldest.used_at > expired)) return;
      oldest.entries.length = 0;
      this.count(oldest, -oldest.bytes);
      if (oldest.listeners.size === 0) this.logs.delete(id);
      else this.use(id, oldest);
    }
  }

  private use(id: string, log: LocalLog): void {
    log.used_at = this.now();
    this.logs.delete(id);
    this.logs.set(id, log);
  }
}

const key = (ref: SessionRef): string => `${ref.tenant_id}:${ref.session_id}`;
