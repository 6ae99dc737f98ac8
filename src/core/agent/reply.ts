import type { AgentEvent } from '../events/agent-event.js';
import type { ToolCallBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { closeReply } from './closing.js';
import { modelTurn } from './model-turn.js';
import { HandedOver, ReplyContext } from './reply-context.js';
import type { ReplyRequest } from './reply-request.js';
import { executeCalls } from './tool-execution.js';
import { parseToolInput } from './toolkit.js';

/**
 * One reply of an agent: model turns and tool calls until it is done, stopped, failed or out of iterations. Every event was applied to
 * `request.reply` before it is yielded. It throws nothing that a model or a tool threw. It returns without REPLY_END only when the reply is
 * parked (a call still waits for a human or an external result) or handed over.
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
        yield* executeCalls(
          ctx,
          ctx.unresolvedCalls().filter((call) => isRunnable(call) && !isExternal(ctx, call)),
        );
        ctx.throwIfAborted();
        const external = ctx.unresolvedCalls().filter(isRunnable);
        if (external.length > 0) {
          yield ctx.emit({ type: 'REQUIRE_EXTERNAL_EXECUTION', tool_calls: structuredClone(external) });
        }
        if (ctx.unresolvedCalls().length > 0) break;
        ctx.throwIfLeaving();
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
      if (error instanceof HandedOver) return;
      yield* closeReply(ctx, error);
    }
    finished = true;
  } finally {
    ctx.dispose(!finished);
  }
}

const isRunnable = (call: ToolCallBlock): boolean => call.state !== 'asking' && call.state !== 'submitted';

/** A call that was asked for wrongly is not handed out: it gets its error like any other. */
function isExternal(ctx: ReplyContext, call: ToolCallBlock): boolean {
  const tool = ctx.request.toolkit.get(call.name);
  return tool?.is_external === true && parseToolInput(tool, call.input).ok;
}

/** A continued reply whose last turn said something and called nothing lacks only its end. */
function endsWithAnswer(msg: Msg): boolean {
  const last = msg.content.at(-1);
  return last?.type === 'text' || last?.type === 'data';
}
