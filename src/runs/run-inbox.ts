import type { Hint, Inbox } from '../core/agent/reply-request.js';
import type { Answer } from './answers.js';
import type { SignalInput } from './run.store.js';

/**
 * What others have left for a reply to hear: read from the database when a write has said that there is something. A hint is given once;
 * that it was is on record with the first write that follows.
 */
export class RunInbox implements Inbox {
  private readonly known = new Set<string>();
  private fresh: { hint: Hint; signal_id: string | null }[] = [];
  private waiting = 0;
  private given: readonly string[] = [];

  constructor(private readonly read: () => Promise<readonly SignalInput[] | undefined>) {}

  get hasHints(): boolean {
    return this.fresh.length > 0 || this.waiting > 0;
  }

  /** Signals that came with the work: hints, and what was said in place of answers. */
  add(signals: readonly SignalInput[]): void {
    for (const { id, kind, payload } of signals) {
      if (kind === 'hint') this.accept(payload as Hint, id);
      // It is consumed with its answer.
      else if (kind === 'answer') this.accept((payload as Answer).hint, null);
    }
  }

  /** How many hints stand in the database, as a write told. */
  noted(count: number): void {
    const read = this.fresh.filter((it) => it.signal_id !== null).length;
    this.waiting = Math.max(0, count - this.given.length - read);
  }

  async take(): Promise<readonly Hint[]> {
    if (this.waiting > 0) {
      this.waiting = 0;
      this.add((await this.read()) ?? []);
    }
    const { fresh } = this;
    this.fresh = [];
    this.given = [...this.given, ...fresh.flatMap((it) => it.signal_id ?? [])];
    return fresh.map((it) => it.hint);
  }

  /** The signals of hints that were given since the last write. */
  get consumed(): readonly string[] {
    return this.given;
  }

  written(ids: readonly string[]): void {
    if (ids.length > 0) this.given = this.given.slice(ids.length);
  }

  private accept(hint: Hint | null, signal_id: string | null): void {
    if (hint === null || this.known.has(hint.id)) return;
    this.known.add(hint.id);
    const { id, source } = hint;
    this.fresh.push({ hint: { id, hint: hint.hint, source }, signal_id });
  }
}
