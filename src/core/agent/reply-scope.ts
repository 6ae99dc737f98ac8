import { CUSTOM_EVENTS, type AgentEvent } from '../events/agent-event.js';
import type { ReplyReducer } from '../events/reply-reducer.js';
import { storable } from '../messages/storable.js';
import type { EventBody } from './event-body.js';
import type { ReplyScope } from './middleware.js';
import type { ReplyRequest } from './reply-request.js';

interface Source {
  readonly request: ReplyRequest;
  readonly reply: ReplyReducer;
  readonly signal: AbortSignal;
  readonly modelCall: object | null;
  readonly resting: boolean;
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
    hint: (text, from) => {
      if (source.modelCall !== null || source.resting || source.reply.msg.finished_at !== null) {
        throw new Error('A hint stands outside of model calls, while the reply works.');
      }
      return source.emit({
        type: 'HINT_BLOCK',
        block_id: newId(),
        hint: storable(text),
        source: storable(JSON.stringify(from)),
      });
    },
    custom: (name, value) => {
      if (Object.hasOwn(CUSTOM_EVENTS, name)) throw new Error(`The event "${name}" is the service's own.`);
      return source.custom(name, value);
    },
  };
}
