import { setTimeout as delay } from 'node:timers/promises';
import { Principal } from '../auth/principal.js';
import { Toolkit } from '../core/agent/toolkit.js';
import type { Cut } from '../core/context/window-view.js';
import type { Msg } from '../core/messages/message.js';
import { ModelError } from '../core/models/chat-model.js';
import { isAway, isRefused } from '../platform/database/failures.js';
import { newId } from '../platform/ids.js';
import { storedState } from '../sessions/stored-state.js';
import type { Assembly } from './assembler.js';
import type { EventWriter } from './event-writer.js';
import { type HeldSession, LeaseLost } from './held-session.js';
import { sayNotices } from './notices.js';
import { reopen, unpark } from './recovery.js';
import { ReplyRun } from './reply-run.js';
import { type Preparation, userMessage } from './reply-work.js';
import type { FinishOutcome, TakenRun, Work } from './run.store.js';
import type { Stretch, StretchResources } from './stretch.js';

type Prepared = Omit<Preparation, 'consumed' | 'run' | 'signals'>;

/** One stretch of work on one session under one lease. */
export class Drain implements Stretch {
  /** What was done last is on record: its last events have to reach the log, whoever holds the lease by now. */
  concluded = false;
  lost = false;
  /** The conversation up to where this drain has come. */
  private context: Msg[] | undefined;

  constructor(
    readonly resources: StretchResources,
    readonly held: HeldSession,
    readonly writer: EventWriter,
  ) {}

  /** Works on what was just taken; `assembly` serves its run, if it is made already. Returns what comes next, or null when the session is left. */
  async work(work: Work, assembly?: Assembly): Promise<Work | null> {
    const { run, signals } = work;
    this.concluded = false;
    if (run === null) {
      // With its own run they are heard; whatever else came is said there.
      if (signals.some((signal) => signal.kind === 'hint')) return this.wake();
      sayNotices(this.writer, signals);
      // An answer that came too late for its run is nobody's any more.
      const consumed = signals.map((signal) => signal.id);
      return this.after(await this.persist(() => this.release(consumed)));
    }
    this.held.beginRun(run.run_id, run.stop);
    const prepared = work.kind === 'next' ? await this.begin(run, assembly) : await this.resume(run, work);
    if (prepared === null) {
      await this.handOver(run);
      return null;
    }
    const said = sayNotices(this.writer, signals);
    const heard = signals.filter((signal) => signal.kind !== 'notice' && signal.run_id === run.run_id);
    const consumed = [...said, ...heard.map((signal) => signal.id)];
    return this.after(await new ReplyRun(this, { ...prepared, run, signals, consumed }).play());
  }

  async handOver(run: TakenRun | null): Promise<void> {
    const { held, writer, resources } = this;
    await writer.flushed();
    held.finishing = true;
    const handOver = () => resources.store.handOver(held.lease, run?.run_id ?? null, writer.last_seq);
    this.concluded = (await this.persist(handOver)) === true;
    if (!this.concluded) held.lose();
  }

  conclude(reply: Msg | null, history: readonly Msg[], from: Cut | null, released: boolean): void {
    const { contexts } = this.resources;
    this.concluded = true;
    this.context = contexts.window(reply ? [...history, reply] : history, from);
    if (released) contexts.put(this.held.lease, this.writer.last_seq, this.context);
  }

  async persist<T>(write: () => Promise<T>): Promise<T | undefined> {
    for (let wait = 50; !this.held.lost; wait = Math.min(wait * 2, 1000)) {
      try {
        return await write();
      } catch (error) {
        if (isRefused(error)) throw error;
        const { logger } = this.resources;
        logger.error({ err: error, session_id: this.held.session_id }, 'A write of a run failed, trying again');
        await delay(wait);
      }
    }
    return undefined;
  }

  private async after(outcome: FinishOutcome | undefined): Promise<Work | null> {
    if (outcome === undefined || outcome.outcome === 'fenced') {
      if (!this.concluded) this.held.lose();
      return null;
    }
    if (outcome.outcome !== 'pending') return null;
    if (this.held.handover.aborted) {
      await this.handOver(null);
      return null;
    }
    return (await this.persist(() => this.resources.store.next(this.held.lease))) ?? null;
  }

  /** Begins a run for hints that found the session idle. */
  private async wake(): Promise<Work | null> {
    const names = { run_id: newId(), reply_id: newId() };
    const work = await this.persist(() => this.resources.store.wake(this.held.lease, names));
    if (!work) this.held.lose();
    return work ?? null;
  }

  private async release(consumed: readonly string[]): Promise<FinishOutcome> {
    this.writer.send();
    this.held.finishing = true;
    const outcome = await this.resources.store.release(this.held.lease, this.writer.last_seq, consumed);
    this.concluded = outcome.outcome !== 'fenced';
    return outcome;
  }

  private async begin(run: TakenRun, assembly?: Assembly): Promise<Prepared> {
    const principal = new Principal(this.held.tenant_id, run.user_id);
    const before = run.last_seq - run.messages.length;
    for (const message of run.messages) this.writer.emit(userMessage(message, run.run_id));
    const known = this.context ?? this.resources.contexts.take(this.held.lease, before);
    const history = known ? [...known, ...run.messages] : await this.load(principal, run);
    const assembled = assembly ? { assembly, failure: undefined } : await this.assemble(principal);
    return { ...assembled, history, reopened: null };
  }

  /** Goes on with a reply that was begun: by a holder that died or left, or before it was parked. Null when this process goes first. */
  private async resume(run: TakenRun, { kind, signals }: Work): Promise<Prepared | null> {
    const { held, resources, writer } = this;
    const principal = new Principal(held.tenant_id, run.user_id);
    const [rows = [], { assembly, failure }] = await Promise.all([
      this.persist(() => resources.store.steps(held.lease, run.reply_id)),
      this.assemble(principal),
    ]);
    const transcript = await this.load(principal, run);
    // Whoever holds the session now has its steps; what was read here may be nothing.
    if (held.lost) throw new LeaseLost('the lease of the session is gone');
    // Without its tools nobody can say which of the started calls may be run again: the next holder looks.
    if (!assembly && failure === undefined && held.handover.aborted && !held.signal.aborted) return null;
    const name = assembly?.agent.data.name ?? '';
    const toolkit = assembly?.toolkit ?? new Toolkit();
    const reopened = kind === 'resumed' ? unpark(rows, signals, run, name) : reopen(rows, signals, run, name, toolkit);
    if (reopened.rewound) writer.emit(reopened.rewound);
    const isExhausted = run.attempt > resources.config.runs.max_attempts;
    return {
      assembly,
      failure: isExhausted ? new ModelError('internal', 'too many attempts') : failure,
      history: transcript.filter((message) => message.id !== run.reply_id),
      reopened,
    };
  }

  /** From where the model's view begins, or began before the run: that is restored when its reply is removed. */
  private async load(principal: Principal, { state, state_before }: TakenRun): Promise<Msg[]> {
    const { sessions, config } = this.resources;
    const from = storedState(state_before ?? state).window_context.from?.message_id;
    const page = await this.persist(() =>
      sessions.messages(principal, this.held.session_id, config.runs.context_messages, { from }),
    );
    return page?.messages ?? [];
  }

  private async assemble(principal: Principal): Promise<Pick<Prepared, 'assembly' | 'failure'>> {
    const { assembler, logger } = this.resources;
    const { session_id } = this.held;
    const assembled = await this.persist(async () => {
      try {
        const gathering = assembler.current(principal, session_id);
        return { assembly: await this.bounded(gathering), failure: undefined };
      } catch (error) {
        if (isAway(error)) throw error;
        logger.warn({ err: error, session_id }, 'A reply could not be prepared');
        return { assembly: undefined, failure: new ModelError('setup', 'not prepared', { cause: error }) };
      }
    });
    return assembled ?? { assembly: undefined, failure: undefined };
  }

  /** Waits for what a host application brings; a stop, or that the process goes, ends the wait, and so does what takes too long. */
  private bounded<T>(work: Promise<T>): Promise<T | undefined> {
    const { held, resources } = this;
    return new Promise((resolve, reject) => {
      const leave = () => resolve(undefined);
      const timer = setTimeout(() => reject(new Error('it took too long')), resources.config.runs.idle_ms);
      for (const signal of [held.signal, held.handover]) {
        if (signal.aborted) leave();
        signal.addEventListener('abort', leave, { once: true });
      }
      work.then(resolve, reject).finally(() => {
        clearTimeout(timer);
        for (const signal of [held.signal, held.handover]) signal.removeEventListener('abort', leave);
      });
    });
  }
}
