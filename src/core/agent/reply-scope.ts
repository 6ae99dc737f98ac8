import type { AgentEvent } from '../events/agent-event.js';
import type { ReplyReducer } from '../events/reply-reducer.js';
import type { EventBody } from './event-body.js';
import type { ReplyScope } from './middleware.js';
import type { ReplyRequest } from './reply-request.js';

interface Source {
  readonly request: ReplyRequest;
  readonly reply: ReplyReducer;
  readonly signal: AbortSignal;
  emit(body: EventBody): AgentEvent;
  custom(name: string, value: Record<string, unknown>): AgentEvent;
}

/** A reply as middleware sees it. */
export function scopeOf(source: Source): ReplyScope {
  const { reply_id, run_id, session_id, agent_name, state, newId } = source.request;
  return {
    reply_id,
    run_id,
    session_id,
    agent_name,
    signal: source.signal,
    state,
    msg: source.reply.msg,
    hint: (text, from) =>
      source.emit({ type: 'HINT_BLOCK', block_id: newId(), hint: text, source: JSON.stringify(from) }),
    custom: (name, value) => source.custom(name, value),
  };
}
