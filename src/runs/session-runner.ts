import { Injectable, Logger } from '@nestjs/common';
import { EventLog } from '../events/event-log.js';
import { Config } from '../platform/config/config.js';
import { SessionStore } from '../sessions/session.store.js';
import { Assembler, type Assembly } from './assembler.js';
import { ContextCache } from './context-cache.js';
import { Drain } from './drain.js';
import { EndingRepair } from './ending-repair.js';
import { EventWriter } from './event-writer.js';
import type { HeldSession } from './held-session.js';
import { RunStore, type Work } from './run.store.js';

/** Works off a session's runs while its lease is held: the only place that gives numbers, writes the transcript and publishes events. */
@Injectable()
export class SessionRunner {
  private readonly logger = new Logger(SessionRunner.name);
  private readonly contexts: ContextCache;
  /** Writers that still owe the log the end of what is on record, and since when. */
  private readonly unsettled = new Map<EventWriter, number>();

  constructor(
    private readonly config: Config,
    private readonly store: RunStore,
    private readonly sessions: SessionStore,
    private readonly log: EventLog,
    private readonly assembler: Assembler,
    private readonly endings: EndingRepair,
  ) {
    this.contexts = new ContextCache(config.runs.context_messages);
  }

  /** How long the log has been waiting for the events of the oldest run that is on record but not in it; 0 when none is. */
  get unflushedMs(): number {
    const [oldest] = this.unsettled.values();
    return oldest === undefined ? 0 : performance.now() - oldest;
  }

  /** Works from what was taken until the session has nothing left or the lease is lost. `assembly` serves the first run, if it is made already. */
  async drain(held: HeldSession, taken: Work, assembly?: Assembly): Promise<void> {
    const begun = performance.now();
    const { seq, prev } = await this.start(held, taken);
    const writer: EventWriter = new EventWriter(this.log, {
      lease: held.lease,
      seq,
      prev,
      verify: () => this.store.exists(held),
      onFenced: () => held.lose(),
      onLost: () => void (drain.lost = true),
      onError: (error) =>
        this.logger.error({ err: error, session_id: held.session_id }, 'Events cannot be written, trying again'),
    });
    const { config, store, sessions, assembler, contexts, logger } = this;
    const drain: Drain = new Drain({ config, store, sessions, assembler, contexts, logger }, held, writer);
    try {
      let work = await drain.work(taken, assembly);
      while (work) work = await drain.work(work);
    } finally {
      if (held.lost && !drain.concluded) writer.stop();
      this.settle(drain, begun);
      await writer.flushed();
    }
  }

  private async start(held: HeldSession, { kind, run, last_seq, committed_seq }: Work) {
    const seq = kind === 'next' && run ? last_seq - run.messages.length : last_seq;
    if (seq > committed_seq && kind !== 'next') {
      const top = await this.log.top(held).catch(() => null);
      return { seq, prev: Math.max(committed_seq, top ?? 0) };
    }
    if (seq > 0 && !this.contexts.knows(held.lease, seq)) {
      // Followers see a hole where the end of the last reply is missing, should the log be away now.
      await this.endings
        .before(held, seq)
        .catch((error: unknown) => this.logger.warn({ err: error }, 'The log cannot be looked at'));
    }
    return { seq, prev: seq };
  }

  private settle(drain: Drain, begun: number): void {
    if (drain.writer.settled && !drain.lost) return;
    this.unsettled.set(drain.writer, begun);
    void this.sayRest(drain).finally(() => this.unsettled.delete(drain.writer));
  }

  /**
   * Nobody says a reply anew whose work has come to its rest. What the log has lost of it is on record: followers hear its end behind a hole.
   * One that was handed over is said anew by the next holder.
   */
  private async sayRest(drain: Drain): Promise<void> {
    await drain.writer.settle();
    if (drain.lost && drain.concluded) await this.endings.afterLoss(drain.held);
  }
}
