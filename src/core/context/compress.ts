import { onion } from '../agent/hooks.js';
import type { Compression, Events } from '../agent/middleware.js';
import type { ReplyContext } from '../agent/reply-context.js';
import type { BoundModel } from '../agent/reply-request.js';
import type { AgentEvent } from '../events/agent-event.js';
import type { ToolSpec } from '../models/chat-model.js';
import type { WindowContext } from '../state/session-state.js';
import type { ContextWindow } from './context-window.js';
import { offloadMessages } from './offload-context.js';
import { countOffloads, OffloadRefused } from './offload-store.js';
import { type CompressionPlan, isCutAhead } from './plan.js';
import { summarize } from './summarize.js';
import { bodyOf, bounded, factOnly, renderSummary } from './summary.js';
import { plainText, transcriptOf } from './transcript.js';

type Proposal = AsyncGenerator<AgentEvent, Compression | null, void>;

/** What the next model call carries besides the conversation. */
export interface Overhead {
  readonly system: string;
  readonly tools: readonly ToolSpec[];
}

/** Share of a summary that the request it quotes may take. */
const REQUEST_RATIO = 0.3;
/** Share of a model's window that the transcript may take; the rest is for instructions and the answer. */
const INPUT_RATIO = 0.7;
/** What frames a summary, in tokens. */
const FRAME = 100;

/**
 * To be done before each model turn: images that are not shown any more are put aside, and when the view has grown beyond its share of the
 * window its older part is compressed. `isRoomy`: it is known that it has not.
 */
export async function* fitContext(
  ctx: ReplyContext,
  window: ContextWindow,
  overhead: Overhead,
  isRoomy = false,
): Events {
  const { state, history, reply } = ctx.request;
  const view = () => window.view(state.value.window_context, history, reply.msg);
  if (window.hidesImages(state.value.window_context, history, reply.msg)) {
    countOffloads(state, await ctx.race(() => keepImages(ctx, window)));
  }
  if (!isRoomy && window.isOver(overhead.system, overhead.tools, view())) yield* compressContext(ctx, window, overhead);
}

/**
 * Puts a summary in place of the older part of the conversation. Nothing is changed when nothing may go. Throws what ends the reply, as a
 * model turn does; the state is then what it was before.
 */
export async function* compressContext(ctx: ReplyContext, window: ContextWindow, overhead: Overhead): Events {
  const { state, history, reply, reply_id } = ctx.request;
  const before = state.value.window_context;
  let offloads = 0;
  const propose = async function* (): Proposal {
    const plan = window.plan(before, history, reply.msg, overhead);
    if (plan === null) return null;
    const made = yield* summarizePlan(ctx, window, before, plan);
    offloads = made.offloads;
    return { summary: made.summary, from: plan.from };
  };
  const compression = yield* decided(ctx, propose);
  if (compression === null) return;
  const { summary, from } = compression;
  if (!isCutAhead(before, history, reply.msg, from)) {
    throw new Error(`the conversation cannot be cut at block ${from.block} of message ${from.message_id}`);
  }
  const total = () =>
    window.counter.total(overhead.system, overhead.tools, window.view(state.value.window_context, history, reply.msg));
  const tokens_before = total();
  const compressions = before.compressions + 1;
  state.update('window_context', { summary, from, compressions, offloads: before.offloads + offloads });
  yield ctx.custom('context_compressed', { reply_id, tokens_before, tokens_after: total(), from });
}

async function* summarizePlan(
  ctx: ReplyContext,
  window: ContextWindow,
  before: WindowContext,
  plan: CompressionPlan,
): AsyncGenerator<AgentEvent, { summary: string; offloads: number }, void> {
  const { counter, summary_tokens } = window;
  const asked = plan.request.map(plainText).join('\n\n');
  const request = asked === '' ? '' : bounded(counter, asked, Math.floor(REQUEST_RATIO * summary_tokens));
  const max = Math.max(Math.floor(summary_tokens / 2), summary_tokens - counter.text(request) - FRAME);
  const earlier = bounded(counter, bodyOf(before.summary), summary_tokens);
  const inputOf = ({ context_size }: BoundModel): number =>
    Math.floor(INPUT_RATIO * (context_size ?? window.context_size)) - counter.text(earlier);
  const entries = transcriptOf(plan.compressed, Math.ceil(window.context_size / 4));
  const made = yield* summarize(ctx, { entries, earlier, counter, max, inputOf });
  const body = made === '' ? factOnly(earlier, counter, max) : made;
  const { offload } = window;
  const name = String(before.compressions + 1);
  const put = offload && (await ctx.race(() => kept(ctx, offloadMessages(offload, name, plan.compressed))));
  return { summary: renderSummary({ body, path: put?.path ?? null, request }), offloads: put?.count ?? 0 };
}

async function keepImages(ctx: ReplyContext, window: ContextWindow): Promise<number> {
  const { state, history, reply } = ctx.request;
  return (await kept(ctx, window.offloadImages(state.value.window_context, history, reply.msg))) ?? 0;
}

/** A conversation must go on although a part of it could not be put aside: the transcript still has it. */
async function kept<T>(ctx: ReplyContext, work: Promise<T>): Promise<T | null> {
  try {
    return await work;
  } catch (error) {
    if (!(error instanceof OffloadRefused)) ctx.report(error);
    return null;
  }
}

/**
 * Lets middleware decide and call for proposals, while the events of those are yielded from here. One thing is awaited at a time, for a
 * reply races only one: either the decision, or a proposal that it waits for.
 */
async function* decided(ctx: ReplyContext, propose: () => Proposal): Proposal {
  const hooks = ctx.hooks.having('onCompressContext');
  if (hooks.length === 0) return yield* propose();
  const asked: PromiseWithResolvers<Compression | null>[] = [];
  let wake: () => void = () => undefined;
  const core = (): Promise<Compression | null> => {
    const answer = Promise.withResolvers<Compression | null>();
    // Whoever asked may have gone away before the answer comes.
    answer.promise.catch(() => undefined);
    asked.push(answer);
    wake();
    return answer.promise;
  };
  const decision = onion(hooks, core, (hook, next) => hook(ctx.hooks.scope, next))().then((made) => ({ made }));
  // It is raced for below, but not while a proposal is made: what it throws then is heard by the next race, or the reply has ended.
  decision.catch(() => undefined);
  for (;;) {
    const step = await ctx.race(() => {
      const question = new Promise<null>((resolve) => {
        wake = () => resolve(null);
        if (asked.length > 0) resolve(null);
      });
      return Promise.race([question, decision]);
    });
    if (step !== null) return step.made;
    const answer = asked.shift();
    if (answer === undefined) continue;
    try {
      answer.resolve(yield* propose());
    } catch (error) {
      answer.reject(error);
      throw error;
    }
  }
}
