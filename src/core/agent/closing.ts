import { reminder } from '../context/text.js';
import type { AgentEvent } from '../events/agent-event.js';
import { type ErrorInfo, type ErrorType, NO_USAGE } from '../messages/message.js';
import { describeError, ModelError } from '../models/chat-model.js';
import type { EventBody } from './event-body.js';
import { Interrupted, ReplyLimit, type OpenBlock, type ReplyContext } from './reply-context.js';

export const INTERRUPTED_TEXT = reminder('The tool call has been interrupted by the user.');
export const MODEL_FAILED_TEXT = reminder('The tool call was not run because the model call failed.');
export const SERVICE_FAILED_TEXT = reminder('The tool call was not completed because the service failed.');

interface Closing {
  reason: 'interrupted' | 'error';
  error: ErrorInfo | null;
  /** What open tool calls are told, and the state of their results. */
  text: string;
  state: 'interrupted' | 'error';
}

export const blockEnd = (id: string, kind: OpenBlock): EventBody => {
  if (kind === 'tool_call') return { type: 'TOOL_CALL_END', tool_call_id: id };
  return { type: kind === 'text' ? 'TEXT_BLOCK_END' : 'THINKING_BLOCK_END', block_id: id };
};

/** Ends a reply that was stopped or failed, wherever it is: nothing stays open, every tool call gets a result. Awaits nothing. */
export async function* closeReply(ctx: ReplyContext, cause: unknown): AsyncGenerator<AgentEvent, void, void> {
  const { reason, error, text, state } = describe(ctx, cause);
  yield* closeModelCall(ctx, error?.type);
  for (const { id, name } of ctx.unresolvedCalls()) {
    if (ctx.reply.result(id) === undefined) {
      yield ctx.emit({ type: 'TOOL_RESULT_START', tool_call_id: id, tool_call_name: name });
    }
    yield ctx.emit({ type: 'TOOL_RESULT_TEXT_DELTA', tool_call_id: id, delta: text });
    yield ctx.emit({ type: 'TOOL_RESULT_END', tool_call_id: id, state });
  }
  const { session_id } = ctx.request;
  yield ctx.emit({ type: 'REPLY_END', session_id, finished_reason: reason, error });
}

/** Ends a model call that did not finish, if one is open. */
export async function* closeModelCall(
  ctx: ReplyContext,
  error_type?: ErrorType,
): AsyncGenerator<AgentEvent, void, void> {
  const { modelCall } = ctx;
  if (modelCall === null) return;
  for (const [id, kind] of ctx.openBlocks) yield ctx.emit(blockEnd(id, kind));
  ctx.openBlocks.clear();
  ctx.modelCall = null;
  const failure = error_type === undefined ? {} : { error_type };
  yield ctx.emit({ type: 'MODEL_CALL_END', ...modelCall, ...NO_USAGE, finished_reason: 'interrupted', ...failure });
}

function describe(ctx: ReplyContext, cause: unknown): Closing {
  if (cause instanceof Interrupted) {
    return { reason: 'interrupted', error: null, text: INTERRUPTED_TEXT, state: 'interrupted' };
  }
  if (cause instanceof ReplyLimit) {
    return {
      reason: 'error',
      error: { type: 'internal', message: cause.message },
      text: SERVICE_FAILED_TEXT,
      state: 'error',
    };
  }
  if (cause instanceof ModelError) {
    return { reason: 'error', error: describeError(cause.type), text: MODEL_FAILED_TEXT, state: 'error' };
  }
  ctx.report(cause);
  return { reason: 'error', error: describeError('internal'), text: SERVICE_FAILED_TEXT, state: 'error' };
}
