import type { AgentEvent, EventOf } from '../events/agent-event.js';
import { closeReply } from './closing.js';
import { abandon, Interrupted, type OpenBlock, type OpenModelCall, ReplyContext, ReplyLimit } from './reply-context.js';
import type { ReplyRequest } from './reply-request.js';

export interface Limits {
  /** How long a handler that was told to stop may take to end; then it is cut off and the reply is closed for it. */
  readonly stop_ms: number;
  /** How long a reply may go without an event. */
  readonly idle_ms: number;
  /** How long this reply may still work. */
  readonly work_ms: number;
}

/** What makes the events of a reply: `runReply`, or code of an application. Every event is applied to `request.reply` before it is yielded. */
export type ReplyHandler = (request: ReplyRequest) => AsyncGenerator<AgentEvent, void, void>;

const MAX_TIMER_MS = 2 ** 31 - 1;

/**
 * Runs a handler under the contract every handler has. A stop aborts `request.signal`; where the handler stands at a `yield`, the reason is
 * thrown in there, so its `finally` blocks run and it may close the reply itself. If it swallows that and goes on, or does not answer, it is
 * cut off after `stop_ms` and the reply is closed in its place. A reply without an event for too long, or at work for too long, is stopped
 * the same way and fails. It ends without REPLY_END only when the handler does so without having failed.
 */
export class SupervisedReply implements AsyncIterableIterator<AgentEvent> {
  private readonly controller = new AbortController();
  private readonly request: ReplyRequest;
  private readonly handler: AsyncGenerator<AgentEvent, void, void>;
  /** Closes the reply once the handler is out of it. */
  private closing: AsyncGenerator<AgentEvent, void, void> | null = null;
  private opened = false;
  private modelCall: OpenModelCall | null = null;
  private ended = false;
  /** The reason of the stop is to be thrown in: the handler stood at a `yield` when it came, and the signal alone would not tell it. */
  private throwIn = false;
  private lastEvent = performance.now();
  private readonly timers = new Set<NodeJS.Timeout>();
  /** Settles the step that is waited for. */
  private waiting: { resolve: (step: IteratorResult<AgentEvent>) => void; reject: (error: unknown) => void } | null =
    null;

  constructor(
    private readonly original: ReplyRequest,
    handle: ReplyHandler,
    private readonly limits: Limits,
  ) {
    this.request = { ...original, signal: this.controller.signal };
    this.handler = handle(this.request);
    if (original.signal.aborted) this.onAbort();
    else original.signal.addEventListener('abort', this.onAbort, { once: true });
    this.after(limits.work_ms, () => this.exceed('The reply took longer than this service allows.'));
    this.watch(limits.idle_ms);
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  next(): Promise<IteratorResult<AgentEvent>> {
    if (this.closing !== null) return this.closing.next();
    return new Promise((resolve, reject) => {
      this.waiting = { resolve, reject };
      this.step().then(this.onStep, this.onError);
    });
  }

  async return(): Promise<IteratorResult<AgentEvent>> {
    this.end();
    abandon(this.handler);
    return { done: true, value: undefined };
  }

  private step(): Promise<IteratorResult<AgentEvent, void>> {
    if (!this.throwIn) return this.handler.next();
    this.throwIn = false;
    return this.handler.throw(this.cause());
  }

  private readonly onStep = (step: IteratorResult<AgentEvent, void>): void => {
    const { waiting } = this;
    if (waiting === null) return;
    this.waiting = null;
    this.lastEvent = performance.now();
    if (step.done === true) {
      this.end();
      if (!this.controller.signal.aborted || this.ended) waiting.resolve({ done: true, value: undefined });
      else this.close(this.cause()).next().then(waiting.resolve, waiting.reject);
      return;
    }
    this.see(step.value);
    waiting.resolve(step);
  };

  private readonly onError = (error: unknown): void => {
    const { waiting } = this;
    if (waiting === null) return;
    this.waiting = null;
    this.end();
    if (this.ended) waiting.reject(error);
    else
      this.close(this.controller.signal.aborted ? this.cause() : error)
        .next()
        .then(waiting.resolve, waiting.reject);
  };

  private see(event: AgentEvent): void {
    this.opened = true;
    if (event.type === 'MODEL_CALL_START') this.modelCall = openModelCall(event);
    else if (event.type === 'MODEL_CALL_END') this.modelCall = null;
    else if (event.type === 'REPLY_END') this.ended = true;
  }

  private readonly onAbort = (): void => this.abort(this.original.signal.reason);

  private abort(reason: unknown): void {
    if (this.controller.signal.aborted) return;
    this.throwIn = this.waiting === null && this.opened && !this.ended;
    this.controller.abort(reason);
    this.after(this.limits.stop_ms, () => this.cut());
  }

  /** What the handler says from now on is not heard. */
  private cut(): void {
    const { waiting } = this;
    this.waiting = null;
    this.end();
    abandon(this.handler);
    if (this.ended) return waiting?.resolve({ done: true, value: undefined });
    const closing = this.close(this.cause());
    if (waiting !== null) closing.next().then(waiting.resolve, waiting.reject);
  }

  private close(cause: unknown): AsyncGenerator<AgentEvent, void, void> {
    return (this.closing = this.closingEvents(cause));
  }

  private async *closingEvents(cause: unknown): AsyncGenerator<AgentEvent, void, void> {
    const ctx = new ReplyContext(this.request);
    const { session_id, agent_name: name } = this.request;
    if (!this.opened) yield ctx.emit({ type: 'REPLY_START', session_id, name, role: 'assistant' });
    ctx.modelCall = this.modelCall;
    for (const [id, kind] of this.openBlocks()) ctx.openBlocks.set(id, kind);
    yield* closeReply(ctx, cause);
    ctx.dispose(false);
  }

  private *openBlocks(): Generator<[string, OpenBlock]> {
    for (const block of this.request.reply.msg.content) {
      if (block.finished_at !== null) continue;
      if (block.type === 'text' || block.type === 'thinking' || block.type === 'tool_call')
        yield [block.id, block.type];
    }
  }

  private cause(): Error {
    const reason: unknown = this.controller.signal.reason;
    return reason instanceof ReplyLimit ? reason : new Interrupted();
  }

  private exceed(message: string): void {
    this.abort(new ReplyLimit(message));
  }

  private watch(ms: number): void {
    this.after(ms, () => {
      const left = this.limits.idle_ms - (performance.now() - this.lastEvent);
      if (left > 0) this.watch(left);
      else this.exceed('The reply made no progress for too long.');
    });
  }

  private after(ms: number, act: () => void): void {
    const timer = setTimeout(
      () => {
        this.timers.delete(timer);
        act();
      },
      Math.min(Math.max(ms, 0), MAX_TIMER_MS),
    );
    timer.unref();
    this.timers.add(timer);
  }

  private end(): void {
    this.original.signal.removeEventListener('abort', this.onAbort);
    for (const timer of this.timers) clearTimeout(timer);
    this.timers.clear();
  }
}

function openModelCall({ model_name, provider, attempt, is_fallback }: EventOf<'MODEL_CALL_START'>): OpenModelCall {
  return {
    model_name,
    ...(provider !== undefined && { provider }),
    ...(attempt !== undefined && { attempt }),
    ...(is_fallback !== undefined && { is_fallback }),
  };
}
