import { countOffloads } from '../context/offload-store.js';
import { ResultLimiter } from '../context/result-limiter.js';
import { headOf } from '../context/text.js';
import type { ToolCallBlock } from '../messages/block.js';
import { storable } from '../messages/storable.js';
import { onion } from './hooks.js';
import type { Verdict } from './judging.js';
import type { EventBody } from './event-body.js';
import type { AgentMiddleware } from './middleware.js';
import { abandon, type ReplyContext } from './reply-context.js';
import { ToolError, type ServiceTool, type ToolChunk } from './tool.js';

const DEFAULT_RESULT_TOKENS = 50_000;
/** Of what a tool says of its failure. */
const MAX_MESSAGE = 20_000;
const DEFAULT_TIMEOUT_MS = 600_000;
const MAX_TIMER_MS = 2 ** 31 - 1;
const FAILED = 'The tool failed.';

type Settled = Extract<Verdict, { kind: 'run' | 'refuse' }>;

/** One call of a tool: its iterator, its time, and the events its output makes. */
export class CallRun {
  iterator: AsyncIterator<ToolChunk> | null = null;
  private readonly controller = new AbortController();
  private timer: NodeJS.Timeout | undefined;
  private readonly limiter: ResultLimiter;
  private readonly hooks: NonNullable<AgentMiddleware['onActing']>[];

  constructor(
    private readonly ctx: ReplyContext,
    readonly call: ToolCallBlock,
    private readonly verdict: Settled,
  ) {
    const { window, tool_result_limit: limit = DEFAULT_RESULT_TOKENS, reply_id } = ctx.request;
    const { counter, offload } = window;
    const onError = (error: unknown) => ctx.report(error);
    this.limiter = new ResultLimiter({ limit, counter, offload, name: `${reply_id}-${call.id}`, onError });
    this.hooks = ctx.hooks.having('onActing');
  }

  /** A call that is refused disturbs nobody either. */
  get concurrent(): boolean {
    return this.verdict.kind === 'refuse' || this.verdict.tool.is_concurrency_safe;
  }

  /** Null when the result was started by an earlier attempt. */
  start(): EventBody | null {
    const { id, name } = this.call;
    if (this.ctx.reply.result(id) !== undefined) return null;
    return { type: 'TOOL_RESULT_START', tool_call_id: id, tool_call_name: name };
  }

  /** The events of a call that is not run. */
  get refusal(): EventBody[] | null {
    const { verdict } = this;
    return verdict.kind === 'refuse' ? this.end(verdict.state, verdict.text) : null;
  }

  /** Begins the call; or the events of its failure. `onTimeout` hears of it when the call takes too long. */
  open(onTimeout: (error: unknown) => void): EventBody[] | null {
    const { verdict, ctx } = this;
    if (verdict.kind === 'refuse') return this.refusal;
    const { tool } = verdict;
    const ms = Math.min(tool.timeout_ms ?? ctx.request.tool_timeout_ms ?? DEFAULT_TIMEOUT_MS, MAX_TIMER_MS);
    try {
      this.iterator = this.output(tool, verdict.input)[Symbol.asyncIterator]();
      this.timer = setTimeout(() => {
        const error = new ToolError(`The tool took longer than ${ms / 1000} s and was stopped.`);
        onTimeout(error);
        this.leave(error);
      }, ms);
      return null;
    } catch (error) {
      return this.failed(error);
    }
  }

  chunk(chunk: ToolChunk): EventBody[] {
    return this.limiter.take(chunk).map((piece) => this.delta(piece));
  }

  /** What the end of the output adds; to be awaited before `succeeded` or `failed`, once. */
  async settle(): Promise<EventBody[]> {
    const { text, offloads } = await this.limiter.finish();
    countOffloads(this.ctx.request.state, offloads);
    return text === '' ? [] : [this.text(text)];
  }

  succeeded(): EventBody[] {
    return this.end('success', '');
  }

  /** Throws what a hook has thrown that is not for the model. */
  failed(error: unknown): EventBody[] {
    if (this.hooks.length > 0 && !(error instanceof ToolError)) throw error;
    const { message } = this.told(error);
    const last = this.ctx.reply.result(this.call.id)?.output.at(-1);
    return this.end('error', `${last?.type === 'text' ? '\n' : ''}${headOf(message, MAX_MESSAGE)}`);
  }

  /** Its result is there. */
  close(): void {
    clearTimeout(this.timer);
    this.ctx.signal.removeEventListener('abort', this.onAbort);
  }

  /** What it still says is not heard. */
  leave(reason?: unknown): void {
    this.close();
    this.controller.abort(reason ?? this.ctx.signal.reason);
    if (this.iterator !== null) abandon(this.iterator);
  }

  private output(tool: ServiceTool, input: unknown): AsyncIterable<ToolChunk> {
    const { ctx, call, controller, hooks } = this;
    const { state, window } = ctx.request;
    ctx.signal.addEventListener('abort', this.onAbort, { once: true });
    const context = { tool_call_id: call.id, signal: controller.signal, state, offload: window.offload };
    if (hooks.length === 0) return tool.run(input, context);
    const core = (given: unknown = input): AsyncIterable<ToolChunk> => this.heard(() => tool.run(given, context));
    const scope = { reply: ctx.hooks.scope, call, tool, input };
    return onion(hooks, core, (hook, next, [given = input]) =>
      hook({ ...scope, input: given }, (replaced = given) => next(replaced)),
    )();
  }

  /** What a tool throws reaches hooks as the model is told it; so what they throw themselves can be told apart. */
  private async *heard(run: () => AsyncIterable<ToolChunk>): AsyncGenerator<ToolChunk> {
    try {
      yield* run();
    } catch (error) {
      throw this.told(error);
    }
  }

  private told(error: unknown): ToolError {
    if (!(error instanceof ToolError)) this.ctx.report(error);
    return error instanceof ToolError && error.message !== '' ? error : new ToolError(FAILED);
  }

  private readonly onAbort = (): void => this.controller.abort(this.ctx.signal.reason);

  private delta(chunk: ToolChunk): EventBody {
    if (chunk.type === 'text') return this.text(chunk.text);
    const media_type = storable(chunk.media_type);
    const base = { tool_call_id: this.call.id, block_id: this.ctx.request.newId(), media_type };
    const source = chunk.type === 'data' ? { data: storable(chunk.data) } : { url: storable(chunk.url) };
    return { type: 'TOOL_RESULT_DATA_DELTA', ...base, ...source };
  }

  private text(delta: string): EventBody {
    return { type: 'TOOL_RESULT_TEXT_DELTA', tool_call_id: this.call.id, delta };
  }

  private end(state: 'success' | 'error' | 'denied', text: string): EventBody[] {
    const end: EventBody = { type: 'TOOL_RESULT_END', tool_call_id: this.call.id, state };
    return text === '' ? [end] : [this.text(text), end];
  }
}
