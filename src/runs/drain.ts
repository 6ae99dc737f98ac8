import type { Logger } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { Principal } from '../auth/principal.js';
import { failReply } from '../core/agent/fail-reply.js';
import type { BoundModel, ReplyRequest } from '../core/agent/reply-request.js';
import { runReply } from '../core/agent/reply.js';
import { Toolkit } from '../core/agent/toolkit.js';
import type { AgentEvent, EventOf } from '../core/events/agent-event.js';
import { ReplyReducer } from '../core/events/reply-reducer.js';
import type { Msg } from '../core/messages/message.js';
import { ModelError } from '../core/models/chat-model.js';
import type { Config } from '../platform/config/config.js';
import { newEventId } from '../platform/ids.js';
import type { SessionStore } from '../sessions/session.store.js';
import type { Assembler, Assembly } from './assembler.js';
import type { ContextCache } from './context-cache.js';
import type { EventWriter } from './event-writer.js';
import { GrammarSample } from './grammar-sample.js';
import type { HeldSession } from './held-session.js';
import { reopen } from './recovery.js';
import { ReplyRecorder } from './reply-recorder.js';
import type { Claim, Finish, FinishOutcome, RunStore, TakenRun } from './run.store.js';

export interface DrainResources {
  readonly config: Config;
  readonly store: RunStore;
  readonly sessions: SessionStore;
  readonly assembler: Assembler;
  readonly contexts: ContextCache;
  readonly logger: Logger;
}

type Abandoned = Extract<Claim, { kind: 'abandoned' }>['run'];

/** A reply that is ready to be worked on. */
interface Work {
  readonly run: Pick<TakenRun, 'run_id' | 'reply_id'>;
  readonly request: ReplyRequest;
  readonly recorder: ReplyRecorder;
  /** Why it can only be closed, if so. */
  readonly failure?: unknown;
  /** Results that are known before it goes on. */
  readonly settled?: readonly AgentEvent[];
}

/** Attempts at one run after which it fails visibly instead of being tried again. */
const MAX_ATTEMPTS = 5;

/** Share of replies whose events are checked. */
const GRAMMAR_SAMPLE = 0.01;

const RUN_STATUS = {
  completed: 'completed',
  exceed_max_iters: 'completed',
  interrupted: 'interrupted',
  error: 'failed',
} as const;

const NO_MODEL: BoundModel = {
  model: {
    provider: '',
    name: '',
    stream: () => {
      throw new ModelError('setup', 'there is no model to call');
    },
  },
  parameters: {},
};

/** One stretch of work on one session under one lease. */
export class Drain {
  /** The conversation up to where this drain has come. */
  context: Msg[] | undefined;
  /** The last reply is on record with its end: that end has to reach the log, whoever holds the lease by now. */
  concluded = false;

  constructor(
    private readonly resources: DrainResources,
    private readonly held: HeldSession,
    private readonly writer: EventWriter,
  ) {}

  /** Works on a run that was just taken; `known` is the conversation before it, when this node has it. Returns the run after it. */
  async run(run: TakenRun, known: Msg[] | undefined, prepared?: Assembly): Promise<TakenRun | null> {
    this.held.beginRun(run.run_id);
    this.concluded = false;
    for (const message of run.messages) this.writer.emit(userMessage(message, run.run_id));
    const principal = new Principal(this.held.tenant_id, run.user_id);
    const context = known ? [...known, ...run.messages] : await this.load(principal);
    const { assembly, failure } = prepared ? { assembly: prepared } : await this.assemble(principal);
    const reply = ReplyReducer.blank(run.reply_id, assembly?.agent.data.name ?? '');
    const request = this.request(run, reply, context, assembly);
    const recorder = new ReplyRecorder(reply, run.run_id, 0);
    return this.work({ run, request, recorder, failure }, context);
  }

  /** Continues the run a dead holder left: what it streamed beyond its last checkpoint is withdrawn, then the same reply goes on. */
  async resume(run: Abandoned): Promise<TakenRun | null> {
    const { held, resources, writer } = this;
    held.beginRun(run.run_id);
    const principal = new Principal(held.tenant_id, run.user_id);
    const [steps, { assembly, failure }] = await Promise.all([
      resources.store.steps(held.lease, run.reply_id),
      this.assemble(principal),
    ]);
    const transcript = await this.load(principal);
    const context = transcript.filter((message) => message.id !== run.reply_id);
    const reopened = reopen(run, steps, assembly?.toolkit ?? new Toolkit(), assembly?.agent.data.name ?? '');
    writer.emit(reopened.rewound);
    const request = {
      ...this.request(run, reopened.reply, context, assembly),
      start_iter: steps.length,
    };
    const recorder = new ReplyRecorder(reopened.reply, run.run_id, steps[0]?.position ?? 0, reopened.recorded);
    const exhausted = run.attempt > MAX_ATTEMPTS ? new ModelError('internal', 'too many attempts') : undefined;
    return this.work({ run, request, recorder, failure: failure ?? exhausted, settled: reopened.settled }, context);
  }

  private async work(work: Work, context: Msg[]): Promise<TakenRun | null> {
    const { held, writer } = this;
    const { request, recorder, failure, settled = [] } = work;
    const events = failure ? failReply(request, failure) : runReply(request);
    const sample = this.sampleOf(work);
    for await (const event of events) {
      if (held.lost) return null;
      recorder.see(event);
      sample?.see(event);
      switch (event.type) {
        case 'REPLY_START': {
          const seq = writer.emit(event, true);
          recorder.position ||= seq;
          for (const known of settled) {
            request.reply.apply(known);
            writer.emit(known);
          }
          break;
        }
        case 'TOOL_RESULT_START':
        case 'TOOL_RESULT_END': {
          // A tool starts, and its result is shown, only after that is on record.
          const pending = writer.hold(event);
          if (!(await this.checkpoint(recorder))) return null;
          writer.release(pending);
          break;
        }
        case 'REPLY_END':
          return this.finish(work, event, context);
        default:
          writer.emit(event);
          if (writer.congested) await writer.flushed();
      }
    }
    throw new Error(`reply ${request.reply_id} ended without its end`);
  }

  private async finish(work: Work, event: EventOf<'REPLY_END'>, context: Msg[]): Promise<TakenRun | null> {
    const { held, writer, resources } = this;
    const { msg } = work.request.reply;
    const end = writer.hold(event);
    // Once the lease is given back, a later holder's first number shuts out whatever of this reply is not in the log.
    await writer.flushed();
    const finish: Finish = {
      run_id: work.run.run_id,
      status: RUN_STATUS[event.finished_reason],
      usage: msg.usage,
      error: msg.error,
      last_seq: end.seq,
      step: work.recorder.current(),
    };
    held.finishing = true;
    const outcome = await this.persist((): Promise<FinishOutcome> => resources.store.finish(held.lease, finish));
    if (outcome === undefined || outcome === 'fenced') {
      held.lose();
      return null;
    }
    this.concluded = true;
    writer.release(end);
    writer.keep_from = end.seq;
    this.context = resources.contexts.window([...context, msg]);
    if (outcome === 'released') {
      resources.contexts.put(held.lease, end.seq, this.context);
      return null;
    }
    const next = await this.persist(() => resources.store.next(held.lease));
    // The numbers of its messages were given by the statement that took the run.
    return next ?? null;
  }

  private async checkpoint(recorder: ReplyRecorder): Promise<boolean> {
    const { held, writer, resources } = this;
    const step = recorder.current();
    const seq = writer.last_seq;
    if (await this.persist(() => resources.store.checkpoint(held.lease, step, seq))) {
      writer.keep_from = seq;
      return true;
    }
    held.lose();
    return false;
  }

  /** Tries a write again while the lease lasts; undefined when it ran out. */
  private async persist<T>(write: () => Promise<T>): Promise<T | undefined> {
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

  private async load(principal: Principal): Promise<Msg[]> {
    const { sessions, config } = this.resources;
    const page = await this.persist(() =>
      sessions.messages(principal, this.held.session_id, config.runs.context_messages),
    );
    return page?.messages ?? [];
  }

  private async assemble(principal: Principal): Promise<{ assembly?: Assembly; failure?: unknown }> {
    try {
      const session = await this.resources.sessions.get(principal, this.held.session_id);
      if (!session) throw new Error('the session is gone');
      return { assembly: await this.resources.assembler.assemble(principal, session) };
    } catch (error) {
      this.resources.logger.warn({ err: error, session_id: this.held.session_id }, 'A reply could not be prepared');
      return { failure: new ModelError('setup', 'the reply could not be prepared', { cause: error }) };
    }
  }

  /** Now and then a whole reply is watched for breaches of the grammar that every client relies on. */
  private sampleOf({ request, settled }: Work): GrammarSample | undefined {
    if (settled || Math.random() >= GRAMMAR_SAMPLE) return undefined;
    return new GrammarSample((error) =>
      this.resources.logger.error({ err: error, reply_id: request.reply_id }, 'A reply broke the grammar of events'),
    );
  }

  private request(
    run: Pick<TakenRun, 'run_id' | 'reply_id'>,
    reply: ReplyReducer,
    history: Msg[],
    assembly: Assembly | undefined,
  ): ReplyRequest {
    const { logger, config } = this.resources;
    const names = { session_id: this.held.session_id, run_id: run.run_id };
    return {
      ...names,
      reply_id: run.reply_id,
      agent_name: assembly?.agent.data.name ?? reply.msg.name,
      system_prompt: assembly?.agent.data.system_prompt ?? '',
      history,
      reply,
      model: assembly?.model ?? NO_MODEL,
      fallback: assembly?.fallback ?? null,
      toolkit: assembly?.toolkit ?? new Toolkit(),
      max_iters: assembly?.agent.data.react_config.max_iters ?? 1,
      max_retries: config.runs.model_retries,
      signal: this.held.signal,
      newId: newEventId,
      clock: () => new Date(),
      onModelError: (error, attempt, will) =>
        logger.warn({ err: error, attempt, will, ...names }, 'A model call failed'),
      onError: (error) => logger.error({ err: error, ...names }, 'A reply met an unexpected error'),
    };
  }
}

/** The database will never take this (a data exception): trying again would not end. */
const isRefused = (error: unknown): boolean => /^22/.test((error as { code?: string } | null)?.code ?? '');

function userMessage(message: Msg, run_id: string): AgentEvent {
  return {
    type: 'CUSTOM',
    id: newEventId(),
    created_at: message.created_at,
    run_id,
    name: 'user_message',
    value: { message },
  };
}
