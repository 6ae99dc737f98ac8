import { expect, jest } from '@jest/globals';
import { type EventBody } from '../agent/reply-context.js';
import type { ReplyRequest } from '../agent/reply-request.js';
import { SupervisedReply, type Limits, type ReplyHandler } from '../agent/supervised-reply.js';
import type { AgentEvent } from '../events/agent-event.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
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

export const START: EventBody = { type: 'REPLY_START', session_id: 's', name: 'agent', role: 'assistant' };
export const END: EventBody = { type: 'REPLY_END', session_id: 's', finished_reason: 'completed', error: null };
export const CALL: EventBody = { type: 'MODEL_CALL_START', model_name: 'm' };
export const TEXT: EventBody = { type: 'TEXT_BLOCK_START', block_id: 't' };
export const delta = (said: string): EventBody => ({ type: 'TEXT_BLOCK_DELTA', block_id: 't', delta: said });
export const never = () => new Promise<never>(() => undefined);

/** Lets time go by for the timers that a spec has faked. */
const passTime = (ms: number) => jest.advanceTimersByTimeAsync(ms);

export class Run {
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
      if (step.done !== true) this.events.push(step.value as AgentEvent);
    }
  }

  async rest(): Promise<string[]> {
    for await (const event of this.supervised) this.events.push(event);
    return this.lines;
  }

  /** Asks for the rest; what needs a timer comes when the test lets time go by. */
  async restAfter(ms: number): Promise<string[]> {
    const rest = this.rest();
    await passTime(ms);
    return rest;
  }

  /** The reply is whole, and its message is what was said. */
  check(): void {
    checkGrammar(this.events, { complete: true });
    expect(reduce(this.events)).toEqual([this.request.reply.msg]);
  }
}
