import type { AgentEvent, EventOf } from '../events/agent-event.js';
import type { ReplyReducer } from '../events/reply-reducer.js';
import type { ToolCallBlock } from '../messages/block.js';
import { storable, storableJson, StorableDeltas } from '../messages/storable.js';
import type { TasksContext } from '../state/session-state.js';
import { stateUpdate } from '../state/state-update.js';
import type { EventBody } from './event-body.js';
import { Hooks } from './hooks.js';
import type { ReplyRequest } from './reply-request.js';
import { scopeOf } from './reply-scope.js';
import { structuredOutputTool } from './structured-output.js';
import type { Toolkit } from './toolkit.js';

/** The model call that is open, as its events name it. */
export type OpenModelCall = Pick<
  EventOf<'MODEL_CALL_START'>,
  'model_name' | 'provider' | 'attempt' | 'is_fallback' | 'metadata'
>;

export type OpenBlock = 'text' | 'thinking' | 'tool_call';

/** Thrown inside the loop when the signal of the request aborts. */
export class Interrupted extends Error {
  override readonly name = 'Interrupted';
}

/** Thrown inside the loop when the reply is left at a step boundary, for somebody else to go on with. */
export class HandedOver extends Error {
  override readonly name = 'HandedOver';
}

/** The reason of an abort that makes a reply fail instead of being interrupted; the message is shown to clients. */
export class ReplyLimit extends Error {
  override readonly name = 'ReplyLimit';
}

/** One for all replies: every one is left after its end, and an exception of its own would cost a stack trace each. */
const ABANDONED = new Interrupted('the reply was left by its consumer');

/** What the parts of the loop share while one reply runs. */
export class ReplyContext {
  readonly reply: ReplyReducer;
  readonly hooks: Hooks;
  modelCall: OpenModelCall | null = null;
  /** The last model turn said something and called nothing. */
  answered = false;
  /** Nothing more is said of this stretch but its end: somebody outside was asked, or the iterations are over. */
  resting = false;
  /** Blocks of the running model call that are not closed, in the order of their start. */
  readonly openBlocks = new Map<string, OpenBlock>();
  private readonly controller = new AbortController();
  private tools: Toolkit | undefined;
  /** The plan as clients know it. */
  private shown: TasksContext;
  private interrupt: ((reason: Error) => void) | null = null;
  /** What is awaited now may be left for a hand-over. */
  private leavable = false;
  private readonly deltas = new StorableDeltas();
  private lastTime = Number.NaN;
  private lastIso = '';

  constructor(readonly request: ReplyRequest) {
    this.reply = request.reply;
    this.shown = request.state.value.tasks_context;
    this.hooks = new Hooks(request.middleware ?? [], () => scopeOf(this));
    if (request.signal.aborted) this.onAbort();
    else request.signal.addEventListener('abort', this.onAbort, { once: true });
    request.handover?.addEventListener('abort', this.onHandover, { once: true });
  }

  /** With the tools of middleware, and that for structured output. */
  get toolkit(): Toolkit {
    return (this.tools ??= this.allTools());
  }

  private allTools(): Toolkit {
    const { toolkit, structured } = this.request;
    const more = [...this.hooks.tools, ...(structured ? [structuredOutputTool(structured)] : [])];
    return more.length > 0 ? toolkit.with(more) : toolkit;
  }

  /** The signal of models and tools: also aborts when the reply is abandoned by its consumer. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  get aborted(): boolean {
    return this.request.signal.aborted;
  }

  /** Completes an event and applies it; the caller yields it at once. */
  emit(body: EventBody): AgentEvent {
    if ('delta' in body) {
      const block =
        'block_id' in body && body.block_id ? body.block_id : 'tool_call_id' in body ? body.tool_call_id : '';
      body.delta = this.deltas.clean(block, body.delta);
    }
    const { newId, run_id, reply_id } = this.request;
    // The type comes first for whoever reads the stream.
    const base = { type: body.type, id: newId(), created_at: this.now(), run_id, reply_id };
    const event = Object.assign(base, body) as AgentEvent;
    this.reply.apply(event);
    return event;
  }

  /** A CUSTOM event; it changes nothing of the reply. */
  custom(name: string, value: Record<string, unknown>): AgentEvent {
    const { newId, run_id } = this.request;
    return {
      type: 'CUSTOM',
      id: newId(),
      created_at: this.now(),
      run_id,
      name: storable(name),
      value: storableJson(value) as Record<string, unknown>,
    };
  }

  /** A `state_updated` event, when the plan has changed since the last one. */
  stateUpdated(): AgentEvent | null {
    const { differ, permissions: permission_context, state } = this.request;
    const { tasks_context } = state.value;
    if (tasks_context === this.shown || differ === undefined) return null;
    const before = { tasks_context: this.shown, permission_context };
    this.shown = tasks_context;
    const update = stateUpdate(before, { tasks_context, permission_context }, differ);
    return update === null ? null : this.custom('state_updated', update);
  }

  /** Calls without an ended result, in the order of the model. */
  unresolvedCalls(): ToolCallBlock[] {
    return this.reply.msg.content.filter((block): block is ToolCallBlock => {
      if (block.type !== 'tool_call') return false;
      const result = this.reply.result(block.id);
      return result === undefined || result.state === 'running';
    });
  }

  throwIfAborted(): void {
    if (this.aborted) throw this.cause;
  }

  /** A running tool is waited for; what has not begun is left to whoever goes on. */
  throwIfLeaving(): void {
    this.throwIfAborted();
    if (this.request.handover?.aborted === true) throw new HandedOver();
  }

  /**
   * Awaits work that may ignore the signal. One slot instead of `Promise.race`: racing every delta against one long-lived promise would
   * keep a reaction per delta alive. So only one race may be under way at a time. What is `leavable` a hand-over ends: a model call is.
   */
  race<T>(work: () => PromiseLike<T>, leavable = this.modelCall !== null): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      this.throwIfAborted();
      this.leavable = leavable;
      if (leavable && this.request.handover?.aborted === true) throw new HandedOver();
      this.interrupt = reject;
      work().then(
        (value) => {
          this.interrupt = null;
          resolve(value);
        },
        (error: Error) => {
          this.interrupt = null;
          reject(error);
        },
      );
    });
  }

  /** Tells the caller what a client must not see. */
  report(error: unknown): void {
    try {
      this.request.onError?.(error);
    } catch {
      // The reply must still be closed.
    }
  }

  dispose(abandoned: boolean): void {
    this.request.signal.removeEventListener('abort', this.onAbort);
    this.request.handover?.removeEventListener('abort', this.onHandover);
    if (abandoned) this.controller.abort(ABANDONED);
  }

  private readonly onAbort = (): void => {
    this.controller.abort(this.request.signal.reason);
    this.interrupt?.(this.cause);
  };

  private readonly onHandover = (): void => {
    if (this.leavable) this.interrupt?.(new HandedOver());
  };

  private get cause(): Error {
    const reason: unknown = this.request.signal.reason;
    return reason instanceof ReplyLimit ? reason : new Interrupted();
  }

  private now(): string {
    const date = this.request.clock();
    const time = date.getTime();
    if (time !== this.lastTime) {
      this.lastTime = time;
      this.lastIso = date.toISOString();
    }
    return this.lastIso;
  }
}

/** Lets go of an iterator without waiting for it; whatever it still throws is nobody's business. */
export function abandon(iterator: AsyncIterator<unknown>): void {
  try {
    Promise.resolve(iterator.return?.()).catch(() => undefined);
  } catch {
    // A custom iterator may throw synchronously.
  }
}
