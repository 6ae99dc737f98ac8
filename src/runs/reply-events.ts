import type { Hint } from '../core/agent/reply-request.js';
import type { AgentEvent } from '../core/events/agent-event.js';
import { expand } from '../core/events/expand.js';
import type { Msg } from '../core/messages/message.js';
import { newEventId } from '../platform/ids.js';

/** What the service itself says of a reply. */
interface Names {
  readonly run_id: string;
  readonly reply_id: string;
}

const now = (run_id: string) => ({ id: newEventId(), created_at: new Date().toISOString(), run_id });

export const replyRemoved = ({ run_id, reply_id }: Names): AgentEvent => ({
  type: 'CUSTOM',
  ...now(run_id),
  name: 'reply_removed',
  value: { reply_id },
});

export const hintSaid = ({ id: block_id, hint, source }: Hint, { run_id, reply_id }: Names): AgentEvent => ({
  type: 'HINT_BLOCK',
  ...now(run_id),
  reply_id,
  block_id,
  hint,
  source,
});

/** Withdraws an open reply as it stands, and says all of it once more. */
export function saidAnew(msg: Msg, { session_id, run_id }: { session_id: string; run_id: string }): AgentEvent[] {
  const value = { reply_id: msg.id, keep_block_ids: [], usage: null };
  const again = expand([msg], { session_id }).map((event) => ({ ...event, id: newEventId(), run_id }));
  return [{ type: 'CUSTOM', ...now(run_id), name: 'reply_rewound', value }, ...again];
}

/** A model call that has said nothing yet when its reply is said anew. */
export const modelCallAnew = ({ id: reply_id }: Msg, run_id: string): AgentEvent => ({
  type: 'MODEL_CALL_START',
  ...now(run_id),
  reply_id,
  model_name: '',
});
