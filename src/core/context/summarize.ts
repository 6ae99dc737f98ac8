import { setTimeout as delay } from 'node:timers/promises';
import { closeModelCall } from '../agent/closing.js';
import { callModel } from '../agent/model-turn.js';
import { abandon, type ReplyContext } from '../agent/reply-context.js';
import type { BoundModel } from '../agent/reply-request.js';
import type { AgentEvent } from '../events/agent-event.js';
import { acceptInput, countable, type ErrorType, type Msg } from '../messages/message.js';
import { ModelError, type ModelPart } from '../models/chat-model.js';
import { SAVE_SUMMARY, SUMMARY_SYSTEM, summaryOf } from './summary.js';
import type { TokenCounter } from './token-counter.js';
import { newestEntries, withoutOldestQuarter } from './transcript.js';

export interface SummaryTask {
  /** The transcript, oldest first. */
  readonly entries: readonly string[];
  /** Told before the transcript: what an earlier compression kept. */
  readonly earlier: string;
  readonly counter: TokenCounter;
  /** Tokens of the summary. */
  readonly max: number;
  /** Tokens of the transcript that a model takes. */
  readonly inputOf: (bound: BoundModel) => number;
}

interface Candidate {
  readonly bound: BoundModel;
  readonly is_fallback: boolean;
}

/** What a model answered, as far as it is of use. */
interface Answer {
  readonly input: string;
  readonly text: string;
}

/** Rounds after the first one, each without the oldest quarter of what the one before told. */
const MAX_RETRIES = 3;
const FIRST_BACKOFF_MS = 250;
const MAX_WAIT_MS = 10_000;
/** UTF-16 units of an answer; what a model says beyond is not heard. */
const MAX_ANSWER = 400_000;

/** To call this model again is of no use, whatever it is told. */
const HOPELESS: ReadonlySet<ErrorType> = new Set(['authentication', 'permission', 'setup']);

/**
 * Has the model, then the fallback, summarise a transcript. Returns '' when none of them did. Throws what ends the reply; the model call is
 * then still open.
 */
export async function* summarize(ctx: ReplyContext, task: SummaryTask): AsyncGenerator<AgentEvent, string, void> {
  const { model, fallback, random = Math.random, sleep = defaultSleep } = ctx.request;
  let candidates: Candidate[] = [{ bound: model, is_fallback: false }];
  if (fallback !== null) candidates.push({ bound: fallback, is_fallback: true });
  const now = ctx.request.clock().toISOString();
  let { entries } = task;
  for (let round = 1; entries.length > 0; round += 1) {
    let wait = 0;
    for (const candidate of [...candidates]) {
      const { bound, is_fallback } = candidate;
      if (round > 1 && bound.retryBudget?.take() === false) continue;
      const answer = yield* attempt(ctx, candidate, round, promptOf(task, entries, bound, now));
      if (!(answer instanceof ModelError)) {
        const body = summaryOf(answer.input, answer.text, task.counter, task.max);
        if (body !== '') return body;
        continue;
      }
      if (HOPELESS.has(answer.type)) candidates = candidates.filter((other) => other !== candidate);
      else if (answer.retryable) {
        const backoff = FIRST_BACKOFF_MS * 2 ** (round - 1) * (0.5 + random() / 2);
        wait = Math.max(wait, Math.min(MAX_WAIT_MS, answer.options.retry_after_ms ?? backoff));
      }
      const hasFallback = !is_fallback && candidates.some((other) => other.is_fallback);
      const will = hasFallback ? 'fallback' : round <= MAX_RETRIES && candidates.length > 0 ? 'retry' : 'fail';
      ctx.request.onModelError?.(answer, round, will);
    }
    if (round > MAX_RETRIES || candidates.length === 0) break;
    entries = withoutOldestQuarter(entries, task.counter);
    if (wait > 0 && entries.length > 0) await ctx.race(() => sleep(wait, ctx.signal), true);
  }
  return '';
}

/** One model call with its start and its end; nothing it says becomes part of the reply. */
async function* attempt(
  ctx: ReplyContext,
  { bound, is_fallback }: Candidate,
  attempt: number,
  prompt: string,
): AsyncGenerator<AgentEvent, Answer | ModelError, void> {
  const { name: model_name, provider } = bound.model;
  const metadata = { purpose: 'compression' };
  ctx.modelCall = { model_name, provider, attempt, is_fallback, metadata };
  yield ctx.emit({ type: 'MODEL_CALL_START', ...ctx.modelCall });
  let iterator: AsyncIterator<ModelPart> | null = null;
  try {
    ctx.throwIfLeaving();
    const turn = { system: SUMMARY_SYSTEM, messages: [question(ctx, prompt)], tools: [SAVE_SUMMARY] };
    iterator = callModel(ctx, bound, turn);
    const pending = iterator;
    const heard = new Heard();
    for (;;) {
      const step = await ctx.race(() => pending.next());
      if (step.done === true) throw new ModelError('upstream', 'The stream ended without a finish.');
      if (step.value.type !== 'finish') {
        heard.take(step.value);
        continue;
      }
      bound.retryBudget?.success();
      const { modelCall } = ctx;
      ctx.modelCall = null;
      const usage = countable(step.value.usage);
      yield ctx.emit({ type: 'MODEL_CALL_END', ...modelCall, ...usage, finished_reason: 'completed' });
      return heard;
    }
  } catch (error) {
    if (!(error instanceof ModelError)) throw error;
    yield* closeModelCall(ctx, error.type);
    return error;
  } finally {
    if (iterator !== null) abandon(iterator);
  }
}

/** What is said while a model streams. */
class Heard implements Answer {
  input = '';
  text = '';
  private readonly calls = new Set<string>();

  take(part: Exclude<ModelPart, { type: 'finish' }>): void {
    if (part.type === 'tool_call_start' && part.name === SAVE_SUMMARY.name && this.calls.size === 0) {
      this.calls.add(part.id);
    }
    if (this.input.length + this.text.length > MAX_ANSWER) return;
    if (part.type === 'text_delta') this.text += part.delta;
    if (part.type === 'tool_call_delta' && this.calls.has(part.id)) this.input += part.delta;
  }
}

function promptOf(task: SummaryTask, entries: readonly string[], bound: BoundModel, now: string): string {
  const told = newestEntries(entries, task.counter, task.inputOf(bound));
  const lost = told.length < task.entries.length ? '[The oldest part could not be shown.]\n\n' : '';
  const earlier = task.earlier === '' ? '' : `<earlier-summary>\n${task.earlier}\n</earlier-summary>\n\n`;
  return (
    `${earlier}<transcript>\n${lost}${told.join('\n\n')}\n</transcript>\n\n` +
    `It is ${now}. Summarise all of this with save_summary${earlier === '' ? '' : '; what the earlier summary says and still holds goes into yours'}. ` +
    `Use at most ${Math.floor(task.max / 2)} words.`
  );
}

function question({ request }: ReplyContext, text: string): Msg {
  const input = { name: 'user', role: 'user' as const, content: text };
  return acceptInput(input, request.newId, request.clock().toISOString());
}

const defaultSleep = (ms: number, signal: AbortSignal): Promise<void> => delay(ms, undefined, { signal });
