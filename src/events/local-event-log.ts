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
  used_at: number;
}

/** How many idle sessions keep their window; beyond it the one idle for longest forgets first. */
const MAX_IDLE_SESSIONS = 10_000;

/** The event log of a process that is alone: same contract as the one on Redis, nothing to install. */
export class LocalEventLog extends EventLog {
  private readonly logs = new Map<string, LocalLog>();

  constructor(
    private readonly limits: EventLogLimits,
    private readonly now: () => number = Date.now,
  ) {
    super();
  }

  async append(batch: AppendBatch): Promise<AppendResult> {
    const log = this.open(batch);
    if (!log.exists && !batch.create) return 'missing';
    const top = log.entries.at(-1)?.last;
    if (top !== undefined && batch.last <= top) {
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
    if (log.entries.length > this.limits.max_entries) this.trim(log, batch.keep_from);
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
    for (const listener of log.listeners) listener({ type: 'end' });
  }

  private open(ref: SessionRef): LocalLog {
    let log = this.logs.get(key(ref));
    if (!log) {
      log = { token: 0, entries: [], listeners: new Set(), exists: false, used_at: this.now() };
      this.logs.set(key(ref), log);
    }
    return log;
  }

  private trim(log: LocalLog, keepFrom: number): void {
    let drop = log.entries.length - this.limits.max_entries;
    while (drop > 0 && (log.entries[drop - 1]?.last ?? 0) >= keepFrom) drop--;
    log.entries.splice(0, drop);
  }

  /** Keeps the map in order of use, so that the first entries are the ones idle for longest. */
  private touch(ref: SessionRef, log: LocalLog): void {
    this.use(key(ref), log);
    const expired = log.used_at - this.limits.ttl_seconds * 1000;
    for (const [id, oldest] of this.logs) {
      if (oldest === log || (this.logs.size <= MAX_IDLE_SESSIONS && oldest.used_at > expired)) return;
      oldest.entries.length = 0;
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
