import { Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import type { Msg } from '../core/messages/message.js';
import { EventLog } from '../events/event-log.js';
import { notFound } from '../platform/http/errors.js';
import type { SessionRef } from '../platform/redis/keys.js';
import { SessionStore } from '../sessions/session.store.js';
import { type RunRecord, RunRecordStore } from './run-record.store.js';
import type { RunStatus } from './run.store.js';

export interface WaitOptions {
  readonly timeout_ms: number;
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal;
}

/** How often a run is looked up although no event said that it ended: events may be late or lost. */
const LOOK_MS = 1000;

const ENDINGS = ['"type":"REPLY_END"', '"type":"REQUIRE_', '"name":"run_cancelled"'].map((text) => Buffer.from(text));

const ENDED: ReadonlySet<RunStatus> = new Set(['completed', 'failed', 'interrupted', 'cancelled', 'waiting']);

/** Waits for runs on behalf of requests: until they end or are parked, time is up, or the caller is gone. */
@Injectable()
export class RunWaiter {
  private readonly logger = new Logger(RunWaiter.name);

  constructor(
    private readonly log: EventLog,
    private readonly records: RunRecordStore,
    private readonly sessions: SessionStore,
  ) {}

  async wait(principal: Principal, session: SessionRef, runId: string, options: WaitOptions): Promise<RunRecord> {
    const until = performance.now() + options.timeout_ms;
    const bell = new Bell(options.signal);
    const unsubscribe = await this.listen(session, bell);
    try {
      for (;;) {
        const run = await this.records.get(principal, runId);
        if (!run) throw notFound('run', runId);
        const left = until - performance.now();
        if ((ENDED.has(run.status) && !run.goes_on) || left <= 0 || options.signal.aborted) return run;
        await bell.ringsWithin(Math.min(left, LOOK_MS));
      }
    } finally {
      unsubscribe();
    }
  }

  /** The reply of a run as far as it is on record. */
  async reply(principal: Principal, { session_id, reply_id }: RunRecord): Promise<Msg | null> {
    return this.sessions.message(principal, session_id, reply_id);
  }

  private async listen(session: SessionRef, bell: Bell): Promise<() => void> {
    try {
      return await this.log.subscribe(session, (signal) => {
        if (signal.type !== 'batch' || ENDINGS.some((ending) => signal.batch.frames.includes(ending))) bell.ring();
      });
    } catch (error) {
      this.logger.warn({ err: error }, 'Waiting for a run without the event log');
      return () => undefined;
    }
  }
}

/** Wakes the one who waits; a ring while nobody waits is remembered. */
class Bell {
  private rung = false;
  private wake: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    signal.addEventListener('abort', () => this.ring(), { once: true });
  }

  ring(): void {
    this.rung = true;
    this.wake?.();
  }

  async ringsWithin(ms: number): Promise<void> {
    if (!this.rung) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.wake = resolve;
        timer = setTimeout(resolve, ms);
      });
      clearTimeout(timer);
      this.wake = undefined;
    }
    this.rung = false;
  }
}
