import type { AgentEvent } from '../core/events/agent-event.js';
import type { AppendBatch, EventLog } from '../events/event-log.js';
import { frame } from '../events/frames.js';
import type { Lease } from './run.store.js';

export interface WriterOptions {
  readonly lease: Lease;
  /** The last number given so far. */
  readonly seq: number;
  /** The last number in the log, or that its readers are to stand at. */
  readonly prev: number;
  /** Asked before a missing log is created. */
  readonly verify: () => Promise<boolean>;
  /** A later holder has written, or the session is gone. */
  readonly onFenced: () => void;
  /**
   * The log has forgotten events of ours that it had acknowledged. What is not written yet is withdrawn, too, and nothing more is written
   * until `resume`: the owner says it all anew.
   */
  readonly onLost: () => void;
  readonly onError: (error: unknown) => void;
}

/** An event that has its number but is not to be seen yet. */
export interface HeldEvent {
  readonly seq: number;
  readonly text: string;
}

const FLUSH_AT = 256 * 1024;
/** What a run may produce ahead of a bus that is slow; beyond it the run waits. */
const HIGH_WATER = 4 * 1024 * 1024;
const RETRY_MS = { first: 50, max: 2000 };

/**
 * Numbers the events of a session and brings them to its log. What is said in one turn of the event loop, or while an append is under way,
 * goes as one batch. Serialised once, here.
 */
export class EventWriter {
  /** Numbers below this may be trimmed from the log. */
  keep_from: number;
  private seq: number;
  private prev: number;
  private first = 0;
  private last = 0;
  private text = '';
  private scheduled = false;
  /** A drain is under way. Cleared in the same turn in which it finds nothing left, so that no event is released unseen in between. */
  private busy = false;
  private failing = false;
  /** Text was dropped while a batch was on its way: should that fail, it is not put back before what came after the hole. */
  private dropped = false;
  private inFlight = false;
  /** The last number that the log acknowledged since it last lost some. */
  private acknowledged = 0;
  private waiters: (() => void)[] = [];
  private suspended = false;
  private dead = false;

  constructor(
    private readonly log: EventLog,
    private readonly options: WriterOptions,
  ) {
    this.seq = options.seq;
    this.prev = options.prev;
    this.keep_from = options.seq + 1;
  }

  get last_seq(): number {
    return this.seq;
  }

  /** Whether the bus is so far behind that the producer has to wait for `flushed()`. A bus that is away holds nobody up. */
  get congested(): boolean {
    return this.text.length > HIGH_WATER && !this.failing;
  }

  emit(event: AgentEvent): number {
    this.release(this.hold(event));
    return this.seq;
  }

  /** With `seq`, the number of an event that was held before and is said otherwise now. */
  hold(event: AgentEvent, seq = ++this.seq): HeldEvent {
    return { seq, text: frame(seq, JSON.stringify(event)) };
  }

  release(held: HeldEvent): void {
    if (this.dead) return;
    if (this.suspended) {
      this.prev = held.seq;
      return;
    }
    // A bus that stays away costs the window its oldest events, never the run: followers see the hole by `prev`.
    if (this.failing && this.text.length > 2 * HIGH_WATER) {
      this.prev = this.last;
      this.text = '';
      this.dropped = this.inFlight;
    }
    if (this.text === '') this.first = held.seq;
    this.last = held.seq;
    this.text += held.text;
    if (this.text.length >= FLUSH_AT) this.send();
    else if (!this.scheduled && !this.busy) {
      this.scheduled = true;
      setImmediate(() => {
        this.scheduled = false;
        this.send();
      });
    }
  }

  /** Writes again after a loss; what was withdrawn is a hole to followers. */
  resume(): void {
    this.suspended = false;
  }

  /** Sends what was released so far, without waiting for the turn of the event loop to end. */
  send(): void {
    if (this.busy || this.text === '' || this.dead) return;
    this.busy = true;
    void this.drain();
  }

  /** Everything released is in the log, or nothing will be any more. */
  get settled(): boolean {
    return this.dead || (!this.busy && this.text === '');
  }

  /** Resolves when that is so; with a bus that is away this takes as long as it is away. */
  async settle(): Promise<void> {
    this.send();
    while (!this.settled) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** Resolves when everything released so far is in the log, or cannot get there now; what is left is tried on in the background. */
  async flushed(): Promise<void> {
    this.send();
    while (this.busy && !this.failing && !this.dead) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  /** Ends all attempts to write. */
  stop(): void {
    this.dead = true;
    this.text = '';
    this.wake();
  }

  private async drain(): Promise<void> {
    let delay = RETRY_MS.first;
    while (this.text !== '' && !this.dead) {
      const batch = this.take();
      try {
        this.inFlight = true;
        const written = await this.append(batch).finally(() => (this.inFlight = false));
        this.failing = false;
        this.dropped = false;
        delay = RETRY_MS.first;
        if (!written) this.fence();
      } catch (error) {
        if (!this.failing) this.options.onError(error);
        this.failing = true;
        this.putBack(batch);
        this.wake();
        await new Promise((resolve) => setTimeout(resolve, delay).unref());
        delay = Math.min(delay * 2, RETRY_MS.max);
      }
    }
    this.busy = false;
    this.wake();
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }

  private take(): AppendBatch {
    const { tenant_id, session_id, token } = this.options.lease;
    const { prev, first, last, text: frames, keep_from, acknowledged } = this;
    this.text = '';
    this.prev = last;
    return { tenant_id, session_id, token, prev, first, last, frames, keep_from, acknowledged, create: false };
  }

  private putBack(batch: AppendBatch): void {
    if (this.dropped) {
      this.dropped = false;
      return;
    }
    this.prev = batch.prev;
    this.first = batch.first;
    if (this.text === '') this.last = batch.last;
    this.text = batch.frames + this.text;
  }

  private async append(batch: AppendBatch): Promise<boolean> {
    let result = await this.log.append(batch);
    if (result === 'missing') {
      if (!(await this.options.verify())) return false;
      result = batch.acknowledged > 0 ? 'lost' : await this.log.append({ ...batch, create: true });
    }
    if (result === 'lost') {
      this.withdraw();
      return true;
    }
    if (result !== 'ok') return false;
    this.acknowledged = batch.last;
    return true;
  }

  private withdraw(): void {
    this.acknowledged = 0;
    this.suspended = true;
    if (this.text !== '') this.prev = this.last;
    this.text = '';
    this.options.onLost();
  }

  private fence(): void {
    this.stop();
    this.options.onFenced();
  }
}
