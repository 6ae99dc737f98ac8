interface Waiting<T, R> {
  readonly item: T;
  readonly resolve: (result: R) => void;
  readonly reject: (error: unknown) => void;
}

export interface GroupCommitOptions<T, R> {
  /** Writes items in one statement; a result for each, in their order. */
  readonly write: (items: readonly T[]) => Promise<readonly R[]>;
  /** Two items of one key never share a statement, and keep their order. */
  readonly key: (item: T) => string;
  /** How much text an item brings into its statement. */
  readonly size: (item: T) => number;
  /** Whether the database is away, rather than refusing what an item holds: only then is the statement not taken apart. */
  readonly isAway: (error: unknown) => boolean;
  /** Statements that may be under way at once. */
  readonly in_flight?: number;
  /** How long one statement has to be under way before another one starts beside it. */
  readonly late_ms?: number;
  readonly max_items?: number;
}

const IN_FLIGHT = 2;
/** Large statements are cheaper than many: a second one only helps while the first one waits for something. */
const LATE_MS = 25;
const MAX_ITEMS = 128;
/** What goes into one statement, in UTF-16 units; an item that is larger goes alone. */
const MAX_SIZE = 8_000_000;

/**
 * Gathers what is submitted while a write is under way into the next one: one statement, and one wait for the disk, for many callers.
 * A statement that is refused for one item's sake is taken apart and its items are written one by one, so that only that item fails. When
 * the database is away every item of the statement fails: its callers know whether trying again is harmless.
 */
export class GroupCommit<T, R> {
  private queue: Waiting<T, R>[] = [];
  /** Keys that are being written. */
  private readonly busy = new Set<string>();
  private inFlight = 0;
  private scheduled = false;
  /** Runs from the start of a statement until it is late. */
  private lateTimer: NodeJS.Timeout | undefined;

  constructor(private readonly options: GroupCommitOptions<T, R>) {}

  submit(item: T): Promise<R> {
    return new Promise<R>((resolve, reject) => {
      this.queue.push({ item, resolve, reject });
      this.schedule();
    });
  }

  /** After the turn of the event loop in which the items came: what is submitted together goes together. */
  private schedule(): void {
    if (this.scheduled || this.lateTimer || this.inFlight >= (this.options.in_flight ?? IN_FLIGHT)) return;
    this.scheduled = true;
    setImmediate(() => {
      this.scheduled = false;
      this.send();
    });
  }

  private send(): void {
    const batch = this.take();
    if (batch.length === 0) return;
    this.inFlight++;
    this.watch();
    void this.write(batch).finally(() => {
      this.inFlight--;
      if (this.inFlight === 0) this.unwatch();
      for (const { item } of batch) this.busy.delete(this.options.key(item));
      if (this.queue.length > 0) this.send();
    });
  }

  private watch(): void {
    const ms = this.options.late_ms ?? LATE_MS;
    if (ms === 0) return;
    this.unwatch();
    this.lateTimer = setTimeout(() => {
      this.lateTimer = undefined;
      if (this.queue.length > 0) this.schedule();
    }, ms);
  }

  private unwatch(): void {
    clearTimeout(this.lateTimer);
    this.lateTimer = undefined;
  }

  private take(): Waiting<T, R>[] {
    const batch: Waiting<T, R>[] = [];
    const later: Waiting<T, R>[] = [];
    const max = this.options.max_items ?? MAX_ITEMS;
    let size = 0;
    for (const waiting of this.queue) {
      const key = this.options.key(waiting.item);
      const more = this.options.size(waiting.item);
      const fits = batch.length === 0 || (batch.length < max && size + more <= MAX_SIZE);
      if (!fits || this.busy.has(key)) {
        later.push(waiting);
        continue;
      }
      size += more;
      this.busy.add(key);
      batch.push(waiting);
    }
    this.queue = later;
    return batch;
  }

  private async write(batch: readonly Waiting<T, R>[]): Promise<void> {
    try {
      const results = await this.options.write(batch.map(({ item }) => item));
      batch.forEach(({ resolve, reject }, index) => {
        if (index in results) resolve(results[index] as R);
        else reject(new Error('a group commit gave too few results'));
      });
    } catch (error) {
      if (batch.length > 1 && !this.options.isAway(error)) {
        for (const waiting of batch) await this.write([waiting]);
      } else {
        for (const { reject } of batch) reject(error);
      }
    }
  }
}

/** The length of all texts in a value: what it weighs as JSON, roughly. */
export function textLength(value: unknown): number {
  if (typeof value === 'string') return value.length;
  if (typeof value !== 'object' || value === null) return 0;
  let length = 0;
  for (const item of Object.values(value)) length += textLength(item);
  return length;
}
