import type { AgentEvent } from '../events/agent-event.js';
import type { ToolCallBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { closeReply } from './closing.js';
import { modelTurn } from './model-turn.js';
import { ReplyContext } from './reply-context.js';
import type { ReplyRequest } from './reply-request.js';
import { executeCalls } from './tool-execution.js';

/**
 * One reply of an agent: model turns and tool calls until it is done, stopped, failed or out of iterations. Every event was applied to
 * `request.reply` before it is yielded. It throws nothing that a model or a tool threw. It returns without REPLY_END only when the reply is
 * parked: a call still waits for a human or an external result.
 */
export async function* runReply(request: ReplyRequest): AsyncGenerator<AgentEvent, void, void> {
  const { session_id, agent_name: name, metadata, max_iters, start_iter = 0 } = request;
  const ctx = new ReplyContext(request);
  let finished = false;
  try {
    const annotations = metadata !== undefined && Object.keys(metadata).length > 0 ? { metadata } : {};
    yield ctx.emit({ type: 'REPLY_START', session_id, name, role: 'assistant', ...annotations });
    try {
      let answered = endsWithAnswer(request.reply.msg);
      for (let iter = start_iter; ; iter += 1) {
        yield* executeCalls(ctx, ctx.unresolvedCalls().filter(isRunnable));
        ctx.throwIfAborted();
        if (ctx.unresolvedCalls().length > 0) break;
        if (answered) {
          yield ctx.emit({ type: 'REPLY_END', session_id, finished_reason: 'completed', error: null });
          break;
        }
        if (iter >= max_iters) {
          yield ctx.emit({ type: 'EXCEED_MAX_ITERS', name });
          yield ctx.emit({ type: 'REPLY_END', session_id, finished_reason: 'exceed_max_iters', error: null });
          break;
        }
        const before = request.reply.msg.content.length;
        yield* modelTurn(ctx);
        answered = !request.reply.msg.content.slice(before).some((block) => block.type === 'tool_call');
      }
    } catch (error) {
      yield* closeReply(ctx, error);
    }
    finished = true;
  } finally {
    ctx.dispose(!finished);
  }
}

const isRunnable = (call: ToolCallBlock): boolean => call.state !== 'asking' && call.state !== 'submitted';

/** A continued reply whose last turn said something and called nothing lacks only its end. */
function endsWithAnswer(msg: Msg): boolean {
  const last = msg.content.at(-1);
  return last?.type === 'text' || last?.type === 'data';
}
