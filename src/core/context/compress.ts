import type { Compression } from '../agent/middleware.js';
import type { ReplyContext } from '../agent/reply-context.js';
import type { BoundModel } from '../agent/reply-request.js';
import type { AgentEvent } from '../events/agent-event.js';
import type { ToolSpec } from '../models/chat-model.js';
import type { WindowContext } from '../state/session-state.js';
import type { ContextWindow } from './context-window.js';
import { offloadMessages } from './offload-context.js';
import { OffloadRefused } from './offload-store.js';
import { type CompressionPlan, isCutAhead } from './plan.js';
import { type CallModel, summarize } from './summarize.js';
import { bodyOf, bounded, factOnly, renderSummary } from './summary.js';
import { plainText, transcriptOf } from './transcript.js';

type Proposal = AsyncGenerator<AgentEvent, Compression | null, void>;

export interface CompressOptions {
  /** What the next call will carry besides the conversation; default: that of the request. */
  readonly system?: string;
  readonly tools?: readonly ToolSpec[];
  /** Middleware around the decision; `next` makes the summary, each time it is called. */
  readonly decide?: (next: () => Promise<Compression | null>) => Promise<Compression | null>;
  /** Middleware around a model call. */
  readonly call?: CallModel;
}

/** Share of a summary that the request it quotes may take. */
const REQUEST_RATIO = 0.3;
/** Share of a model's window that the transcript may take; the rest is for instructions and the answer. */
const INPUT_RATIO = 0.7;
/** What frames a summary, in tokens. */
const FRAME = 100;

/**
 * Puts a summary in place of the older part of the conversation, because the view has grown beyond its share of the window. Nothing is
 * changed when nothing may go. Throws what ends the reply, as a model turn does. What is left in the state then is what was there before.
 */
export async function* compressContext(
  ctx: ReplyContext,
  window: ContextWindow,
  options: CompressOptions = {},
): AsyncGenerator<AgentEvent, void, void> {
  const { state, history, reply, reply_id, system_prompt, toolkit } = ctx.request;
  const { system = system_prompt, tools = toolkit.specs } = options;
  const before = state.value.window_context;
  let offloads = 0;
  const propose = async function* (): Proposal {
    const plan = window.plan(before, history, reply.msg, { system, tools });
    if (plan === null) return null;
    const kept = yield* summarizePlan(ctx, window, before, plan, options.call ?? callModel);
    offloads = kept.offloads;
    return { summary: kept.summary, from: plan.from };
  };
  const compression = options.decide === undefined ? yield* propose() : yield* decided(ctx, options.decide, propose);
  if (compression === null) return;
  const { summary, from } = compression;
  if (!isCutAhead(before, history, reply.msg, from)) {
    throw new Error(`the conversation cannot be cut at block ${from.block} of message ${from.message_id}`);
  }
  const now = state.value.window_context;
  const after: WindowContext = {
    summary,
    from: { ...from },
    compressions: before.compressions + 1,
    offloads: now.offloads + offloads,
  };
  const tokensOf = (of: WindowContext): number =>
    window.counter.total(system, tools, window.view(of, history, reply.msg));
  const value = { reply_id, tokens_before: tokensOf(before), tokens_after: tokensOf(after), from: after.from };
  state.update('window_context', after);
  yield {
    type: 'CUSTOM',
    id: ctx.request.newId(),
    created_at: ctx.request.clock().toISOString(),
    run_id: ctx.request.run_id,
    name: 'context_compressed',
    value,
  };
}

const callModel: CallModel = (bound, call) => bound.model.stream(call);

async function* summarizePlan(
  ctx: ReplyContext,
  window: ContextWindow,
  before: WindowContext,
  plan: CompressionPlan,
  call: CallModel,
): AsyncGenerator<AgentEvent, { summary: string; offloads: number }, void> {
  const { counter, summary_tokens } = window;
  const asked = plan.request.map(plainText).join('\n\n');
  const request = asked === '' ? '' : bounded(counter, asked, Math.floor(REQUEST_RATIO * summary_tokens));
  const max = Math.max(1, summary_tokens - counter.text(request) - FRAME);
  const earlier = bounded(counter, bodyOf(before.summary), summary_tokens);
  const inputOf = ({ context_size }: BoundModel): number =>
    Math.floor(INPUT_RATIO * (context_size ?? window.context_size)) - counter.text(earlier);
  const entries = transcriptOf(plan.compressed, Math.ceil(window.context_size / 4));
  const made = yield* summarize(ctx, { entries, earlier, counter, max, inputOf, call });
  const body = made === '' ? factOnly(earlier, counter, max) : made;
  const kept = await ctx.race(() => keep(ctx, window, String(before.compressions + 1), plan));
  return { summary: renderSummary({ body, path: kept?.path ?? null, request }), offloads: kept?.count ?? 0 };
}

/** A conversation must go on although it could not be put aside: the transcript still has it. */
async function keep(
  ctx: ReplyContext,
  { offload }: ContextWindow,
  name: string,
  { compressed }: CompressionPlan,
): Promise<{ path: string; count: number } | null> {
  if (offload === null) return null;
  try {
    return await offloadMessages(offload, name, compressed);
  } catch (error) {
    if (!(error instanceof OffloadRefused)) ctx.report(error);
    return null;
  }
}

/**
 * Lets `decide` call for proposals while their events are yielded from here. One thing is awaited at a time, for a reply races only one:
 * either the decision, or a proposal that it waits for.
 */
async function* decided(
  ctx: ReplyContext,
  decide: NonNullable<CompressOptions['decide']>,
  propose: () => Proposal,
): Proposal {
  const asked: PromiseWithResolvers<Compression | null>[] = [];
  let wake: () => void = () => undefined;
  const decision = decide(() => {
    const answer = Promise.withResolvers<Compression | null>();
    // Whoever decides may have gone away before the answer comes.
    answer.promise.catch(() => undefined);
    asked.push(answer);
    wake();
    return answer.promise;
  }).then((compression) => ({ compression }));
  decision.catch(() => undefined);
  for (;;) {
    const step = await ctx.race(() => {
      const question = new Promise<null>((resolve) => {
        wake = () => resolve(null);
        if (asked.length > 0) resolve(null);
      });
      return Promise.race([question, decision]);
    });
    if (step !== null) return step.compression;
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
