import type { AgentEvent } from '../events/agent-event.js';
import { closeReply } from './closing.js';
import { ReplyContext } from './reply-context.js';
import type { ReplyRequest } from './reply-request.js';

/** Ends a reply that cannot be worked on: opens it (again), gives open calls a result and closes it with the class of `cause`. */
export async function* failReply(request: ReplyRequest, cause: unknown): AsyncGenerator<AgentEvent, void, void> {
  const ctx = new ReplyContext(request);
  const { session_id, agent_name: name } = request;
  yield ctx.emit({ type: 'REPLY_START', session_id, name, role: 'assistant' });
  yield* closeReply(ctx, cause);
  ctx.dispose(false);
}
