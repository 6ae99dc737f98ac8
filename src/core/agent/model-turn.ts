import { setTimeout as delay } from 'node:timers/promises';
import type { AgentEvent } from '../events/agent-event.js';
import { repairHistory } from '../context/repair-history.js';
import { countable } from '../messages/message.js';
import { type ModelCall, ModelError, type ModelPart } from '../models/chat-model.js';
import { blockEnd, closeModelCall } from './closing.js';
import { onion } from './hooks.js';
import { PartMapper } from './part-mapper.js';
import { abandon, type ReplyContext } from './reply-context.js';
import type { BoundModel, ModelErrorOutcome } from './reply-request.js';
import type { Turn } from './turn.js';

const DEFAULT_RETRIES = 2;
const FIRST_BACKOFF_MS = 250;
const MAX_WAIT_MS = 60_000;
/** Added at random to what a provider advised, so that not all come back at once. */
const ADVICE_JITTER = 0.1;

/** A stream whose first part has arrived. */
interface Opened {
  iterator: AsyncIterator<ModelPart>;
  first: ModelPart;
  attempt: number;
}

interface Candidate {
  bound: BoundModel;
  turn: Turn;
  is_fallback: boolean;
  hasFallback: boolean;
}

/** How long one model turn may still wait between its attempts. */
interface Patience {
  left_ms: number;
}

/**
 * One model turn: tries the model and then the fallback until one of them sends a first part, and maps what it streams. Every attempt is a
 * model call with its own start and end. Throws what ends the reply; the model call is then still open.
 */
export async function* modelTurn(ctx: ReplyContext, turn: Turn): AsyncGenerator<AgentEvent, void, void> {
  const { model, fallback } = ctx.request;
  const patience: Patience = { left_ms: ctx.request.max_retry_wait_ms ?? MAX_WAIT_MS };
  let opened = yield* open(ctx, { bound: model, turn, is_fallback: false, hasFallback: fallback !== null }, patience);
  if (opened === null && fallback !== null) {
    opened = yield* open(ctx, { bound: fallback, turn, is_fallback: true, hasFallback: false }, patience);
  }
  if (opened === null) return;
  try {
    yield* stream(ctx, opened);
  } catch (error) {
    if (error instanceof ModelError) ctx.request.onModelError?.(error, opened.attempt, 'fail');
    throw error;
  } finally {
    abandon(opened.iterator);
  }
}

/** Null when the fallback is to be tried. A conversation that is rejected as invalid is mended once, if there is something to mend. */
async function* open(
  ctx: ReplyContext,
  { bound, turn, is_fallback, hasFallback }: Candidate,
  patience: Patience,
): AsyncGenerator<AgentEvent, Opened | null, void> {
  const { max_retries = DEFAULT_RETRIES, onModelError } = ctx.request;
  const { name: model_name, provider } = bound.model;
  let asked = turn;
  for (let attempt = 1; ; attempt += 1) {
    ctx.modelCall = { model_name, provider, attempt, is_fallback };
    yield ctx.emit({ type: 'MODEL_CALL_START', ...ctx.modelCall });
    let iterator: AsyncIterator<ModelPart> | null = null;
    try {
      ctx.throwIfLeaving();
      iterator = callModel(ctx, bound, asked);
      const pending = iterator;
      const step = await ctx.race(() => pending.next());
      if (step.done === true) throw new ModelError('upstream', 'The stream ended before its first part.');
      bound.retryBudget?.success();
      return { iterator, first: step.value, attempt };
    } catch (error) {
      if (iterator !== null) abandon(iterator);
      if (!(error instanceof ModelError)) throw error;
      const isFaulty = error.type === 'invalid_request' && error.options.overflow !== true;
      const mended = isFaulty ? repairHistory(asked.messages) : asked.messages;
      if (mended !== asked.messages) {
        asked = { ...asked, messages: mended };
        onModelError?.(error, attempt, 'retry');
        yield* closeModelCall(ctx, error.type);
        continue;
      }
      const wait = waitBefore(ctx, error, attempt);
      // The budget last: what is taken from it is used.
      const retries =
        error.retryable && attempt <= max_retries && wait <= patience.left_ms && (bound.retryBudget?.take() ?? true);
      const will: ModelErrorOutcome = retries ? 'retry' : hasFallback ? 'fallback' : 'fail';
      onModelError?.(error, attempt, will);
      if (will === 'fail') throw error;
      yield* closeModelCall(ctx, error.type);
      if (will === 'fallback') return null;
      patience.left_ms -= wait;
      const { sleep = defaultSleep } = ctx.request;
      await ctx.race(() => sleep(wait, ctx.signal), true);
    }
  }
}

/** One attempt, with what middleware makes of it. */
export function callModel(ctx: ReplyContext, { model, parameters }: BoundModel, turn: Turn): AsyncIterator<ModelPart> {
  const { signal } = ctx;
  const hooks = ctx.hooks.having('onModelCall');
  const core = (call: ModelCall): AsyncIterable<ModelPart> => model.stream(call);
  const ask = onion(hooks, core, (hook, next, [call]) => hook(ctx.hooks.scope, call, next));
  return ask({ ...turn, parameters, signal })[Symbol.asyncIterator]();
}

/** What the provider advised, never less; else exponential. */
function waitBefore({ request }: ReplyContext, { options }: ModelError, attempt: number): number {
  const { random = Math.random } = request;
  const advised = options.retry_after_ms;
  if (advised !== undefined) return advised * (1 + random() * ADVICE_JITTER);
  return FIRST_BACKOFF_MS * 2 ** (attempt - 1) * (0.5 + random() / 2);
}

const defaultSleep = (ms: number, signal: AbortSignal): Promise<void> => delay(ms, undefined, { signal });

async function* stream(ctx: ReplyContext, opened: Opened): AsyncGenerator<AgentEvent, void, void> {
  const mapper = new PartMapper(ctx);
  const { iterator } = opened;
  const next = () => iterator.next();
  let part = opened.first;
  for (;;) {
    if (part.type === 'finish') break;
    const body = mapper.map(part);
    if (Array.isArray(body)) for (const one of body) yield ctx.emit(one);
    else if (body !== null) yield ctx.emit(body);
    const step = await ctx.race(next);
    if (step.done === true) throw new ModelError('upstream', 'The stream ended without a finish.');
    part = step.value;
  }
  for (const [id, kind] of ctx.openBlocks) {
    ctx.openBlocks.delete(id);
    yield ctx.emit(blockEnd(id, kind));
  }
  const { modelCall } = ctx;
  ctx.modelCall = null;
  yield ctx.emit({ type: 'MODEL_CALL_END', ...modelCall, ...countable(part.usage), finished_reason: 'completed' });
}
