import type { ToolCallBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { ModelError } from '../models/chat-model.js';
import { act } from './acting.js';
import { closeModelCall, closeReply } from './closing.js';
import type { EventBody } from './event-body.js';
import { onion } from './hooks.js';
import type { Events } from './middleware.js';
import { modelTurn } from './model-turn.js';
import { HandedOver, ReplyContext } from './reply-context.js';
import type { ReplyRequest } from './reply-request.js';
import { structuredOutputOf } from './structured-output.js';
import { prepareTurn, shortenTurn } from './turn-preparation.js';

const DEFAULT_GRACE_ITERS = 5;

/**
 * One reply of an agent: model turns and tool calls until it is done, stopped, failed or out of iterations. Every event was applied to
 * `request.reply` before it is yielded. It throws nothing that a model or a tool threw. It returns without REPLY_END only when the reply is
 * parked (a call still waits for a human or an external result) or handed over.
 */
export async function* runReply(request: ReplyRequest): Events {
  const { session_id, agent_name: name, metadata } = request;
  let ctx: ReplyContext | undefined;
  let finished = false;
  try {
    ctx = new ReplyContext(request);
    const annotations = metadata !== undefined && Object.keys(metadata).length > 0 ? { metadata } : {};
    yield ctx.emit({ type: 'REPLY_START', session_id, name, role: 'assistant', ...annotations });
    try {
      yield* worked(ctx);
      yield* endLeft(ctx);
    } catch (error) {
      if (error instanceof HandedOver) return;
      // A hook that fails behind the end is not the reply's failure any more.
      if (ctx.reply.msg.finished_at === null) yield* closeReply(ctx, error);
      else ctx.report(error);
    }
    finished = true;
  } finally {
    ctx?.dispose(!finished);
  }
}

function worked(ctx: ReplyContext): Events {
  const hooks = ctx.hooks.having('onReply');
  return onion(
    hooks,
    () => work(ctx),
    (hook, next) => hook(ctx.hooks.scope, next),
  )();
}

async function* work(ctx: ReplyContext): Events {
  if (ctx.resting) throw new Error('A hook began the work of a reply twice.');
  const { start_iter = 0 } = ctx.request;
  ctx.answered = endsWithAnswer(ctx.reply.msg);
  for (let iter = start_iter; ; iter += 1) {
    yield* act(ctx);
    const update = ctx.stateUpdated();
    if (update !== null) yield update;
    ctx.throwIfAborted();
    if (ctx.unresolvedCalls().length > 0) return;
    ctx.throwIfLeaving();
    const end = endOf(ctx, iter);
    if (end !== null) {
      ctx.resting = true;
      for (const body of end) yield ctx.emit(body);
      return;
    }
    const { content } = ctx.reply.msg;
    const before = content.length;
    yield* reasoned(ctx, iter);
    if (ctx.modelCall !== null) throw new Error('A hook left a model call that is open.');
    ctx.answered = !content.slice(before).some((block) => block.type === 'tool_call');
  }
}

/** A hook may have left the reply early, or kept it from beginning; then it ends here, unless it is parked. */
async function* endLeft(ctx: ReplyContext): Events {
  const { session_id, structured } = ctx.request;
  if (ctx.reply.msg.finished_at !== null) return;
  const open = ctx.unresolvedCalls();
  const isWorking = ({ id, state }: ToolCallBlock) => state !== 'submitted' && ctx.reply.result(id) !== undefined;
  const isQuiet = ctx.modelCall === null && !open.some(isWorking);
  if (isQuiet && open.some(({ state }) => state === 'asking' || state === 'submitted')) return;
  ctx.throwIfLeaving();
  const isDone = isQuiet && open.length === 0 && !ctx.resting && structured === undefined;
  if (!isDone) throw new Error('A hook left the reply before its end.');
  yield ctx.emit({ type: 'REPLY_END', session_id, finished_reason: 'completed', error: null });
}

function reasoned(ctx: ReplyContext, iter: number): Events {
  const hooks = ctx.hooks.having('onReasoning');
  return onion(
    hooks,
    () => reason(ctx, iter),
    (hook, next) => hook(ctx.hooks.scope, next),
  )();
}

async function* reason(ctx: ReplyContext, iter: number): Events {
  if (ctx.modelCall !== null || ctx.unresolvedCalls().length > 0) {
    throw new Error('A hook began a model turn before the last one was acted on.');
  }
  const turn = yield* prepareTurn(ctx, iter);
  const said = ctx.reply.msg.content.length;
  try {
    yield* modelTurn(ctx, turn);
  } catch (error) {
    const isTooLong = error instanceof ModelError && error.options.overflow === true;
    if (!isTooLong || ctx.reply.msg.content.length > said) throw error;
    yield* closeModelCall(ctx, error.type);
    const shorter = yield* shortenTurn(ctx, turn);
    if (shorter === null) throw error;
    yield* modelTurn(ctx, shorter);
  }
}

/** How the reply ends before model turn `iter`, if it does. */
function endOf(ctx: ReplyContext, iter: number): EventBody[] | null {
  const { request, answered } = ctx;
  const { session_id, agent_name: name, max_iters, structured } = request;
  const completed: EventBody = { type: 'REPLY_END', session_id, finished_reason: 'completed', error: null };
  if (structured !== undefined) {
    const output = structuredOutputOf(ctx.reply, structured);
    if (output !== null) return [{ ...completed, structured_output: output.value }];
  } else if (answered) {
    return [completed];
  }
  const grace = structured === undefined ? 0 : (request.structured_grace_iters ?? DEFAULT_GRACE_ITERS);
  if (iter < max_iters + grace) return null;
  return [
    { type: 'EXCEED_MAX_ITERS', name },
    { type: 'REPLY_END', session_id, finished_reason: 'exceed_max_iters', error: null },
  ];
}

/** A continued reply whose last turn said something and called nothing lacks only its end. */
function endsWithAnswer({ content }: Msg): boolean {
  const turn = content.slice(content.findLastIndex(({ type }) => type === 'hint' || type === 'tool_result') + 1);
  return turn.length > 0 && !turn.some((block) => block.type === 'tool_call');
}
