import type { EventBody } from '../agent/event-body.js';
import type { ReplyRequest } from '../agent/reply-request.js';
import { SupervisedReply, type Limits, type ReplyHandler } from '../agent/supervised-reply.js';
import type { AgentEvent } from '../events/agent-event.js';
import { outline, request } from './reply-harness.js';
import { ScriptedModel } from './scripted-model.js';

export const LIMITS: Limits = { stop_ms: 1000, idle_ms: 60_000, work_ms: 600_000 };

/** What a handler of an application does for each event: makes it, applies it, yields it. */
export function say(req: ReplyRequest, body: EventBody): AgentEvent {
  const base = { id: req.newId(), created_at: req.clock().toISOString(), run_id: req.run_id, reply_id: req.reply_id };
  const event = { ...base, ...body } as AgentEvent;
  req.reply.apply(event);
  return event;
}

export const START = {
  type: 'REPLY_START',
  session_id: 's',
  name: 'agent',
  role: 'assistant',
} as const satisfies EventBody;
export const END = {
  type: 'REPLY_END',
  session_id: 's',
  finished_reason: 'completed',
  error: null,
} as const satisfies EventBody;
export const CALL = { type: 'MODEL_CALL_START', model_name: 'm' } as const satisfies EventBody;
export const TEXT = { type: 'TEXT_BLOCK_START', block_id: 't' } as const satisfies EventBody;
export const delta = (said: string): EventBody => ({ type: 'TEXT_BLOCK_DELTA', block_id: 't', delta: said });
export const never = () => new Promise<never>(() => undefined);

/** A handler under supervision, and what it said. */
export class SupervisedRun {
  readonly controller = new AbortController();
  readonly errors: unknown[] = [];
  readonly events: AgentEvent[] = [];
  readonly request: ReplyRequest;
  readonly supervised: SupervisedReply;

  constructor(handler: ReplyHandler, limits: Partial<Limits> = {}, rest: Partial<ReplyRequest> = {}) {
    const onError = (error: unknown) => this.errors.push(error);
    this.request = request(new ScriptedModel([]), { signal: this.controller.signal, onError, ...rest });
    this.supervised = new SupervisedReply(this.request, handler, { ...LIMITS, ...limits });
  }

  get lines(): string[] {
    return outline(this.events);
  }

  stop(reason: Error = new Error('stop')): void {
    this.controller.abort(reason);
  }

  /** Takes that many events. */
  async take(count: number): Promise<void> {
    for (let n = 0; n < count; n++) {
      const step = await this.supervised.next();
      if (step.done !== true) this.events.push(step.value);
    }
  }

  async rest(): Promise<string[]> {
    for await (const event of this.supervised) this.events.push(event);
    return this.lines;
  }
}
