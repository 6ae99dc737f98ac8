import { compressContext, fitContext } from '../context/compress.js';
import { lastSeen, RUNTIME_STATE, runtimeHint, STALE_MS } from '../context/runtime-hint.js';
import type { AgentEvent } from '../events/agent-event.js';
import type { HintBlock } from '../messages/block.js';
import { storable, storableJson } from '../messages/storable.js';
import type { ReplyContext } from './reply-context.js';
import { STRUCTURED_OUTPUT_TOOL, STRUCTURED_REMINDER } from './structured-output.js';
import type { Turn } from './turn.js';

const PLANNING = new Set(['TaskCreate', 'TaskGet', 'TaskList', 'TaskUpdate']);
/** Share of the tokens at which the conversation is compressed, from which on the agent is told of it. */
const NEARLY_FULL = 0.8;

/**
 * Says what the agent is to hear before model turn `iter`, and makes room for it: hints that came meanwhile, what is still expected of it, and,
 * when a reply begins or is taken up again, what has changed around it.
 */
export async function* prepareTurn(ctx: ReplyContext, iter: number): AsyncGenerator<AgentEvent, Turn, void> {
  const { request, toolkit } = ctx;
  const { state, window, history, reply } = request;
  yield* heard(ctx);
  if (request.structured !== undefined && (ctx.answered || iter === request.max_iters)) {
    yield hint(ctx, STRUCTURED_REMINDER, { label: 'System', sublabel: 'Structured output' });
  }
  const system = await systemPrompt(ctx);
  const offered = () => {
    const tools = toolkit.offered(state.value);
    // Beyond its iterations the agent can do nothing but come to its answer.
    return iter < request.max_iters ? tools : tools.filter((tool) => tool.name === STRUCTURED_OUTPUT_TOOL);
  };
  const view = () => window.view(state.value.window_context, history, reply.msg);
  const { counter, trigger_tokens } = window;
  const isRoomy = counter.isBelow(NEARLY_FULL * trigger_tokens, system, offered(), view());
  yield* fitContext(ctx, window, { system, tools: offered() }, isRoomy);
  // What was put aside just now may be read at once.
  const tools = offered();
  const isBegin = iter === (request.start_iter ?? 0);
  const text = isBegin ? runtimeState(ctx, { system, tools, messages: view() }, isRoomy) : null;
  if (text !== null) yield hint(ctx, text, RUNTIME_STATE);
  return { system, tools, messages: view() };
}

/** The turn for a model that takes less than was thought: what it was told is more than its window. Null when nothing of it may go. */
export async function* shortenTurn(ctx: ReplyContext, turn: Turn): AsyncGenerator<AgentEvent, Turn | null, void> {
  const { state, window, history, reply } = ctx.request;
  const { system, tools, messages } = turn;
  const { compressions } = state.value.window_context;
  yield* compressContext(ctx, window.within(window.counter.total(system, tools, messages)), { system, tools });
  if (state.value.window_context.compressions === compressions) return null;
  return { system, tools, messages: window.view(state.value.window_context, history, reply.msg) };
}

async function* heard(ctx: ReplyContext): AsyncGenerator<AgentEvent, void, void> {
  const { inbox } = ctx.request;
  if (inbox?.hasHints !== true) return;
  for (const { id, hint, source } of await ctx.race(() => inbox.take(), true)) {
    // Said before a crash, and given again after it.
    if (ctx.reply.block(id) !== undefined) continue;
    const block = { block_id: id, hint: storableJson(hint) as HintBlock['hint'] };
    yield ctx.emit({ type: 'HINT_BLOCK', ...block, source: source === null ? null : storable(source) });
  }
}

function hint(ctx: ReplyContext, text: string, source: { label: string; sublabel: string }): AgentEvent {
  const block_id = ctx.request.newId();
  return ctx.emit({ type: 'HINT_BLOCK', block_id, hint: text, source: JSON.stringify(source) });
}

async function systemPrompt(ctx: ReplyContext): Promise<string> {
  let prompt = ctx.request.system_prompt;
  for (const hook of ctx.hooks.having('onSystemPrompt')) {
    const before = prompt;
    prompt = await ctx.race(async () => hook(ctx.hooks.scope, before), true);
  }
  return prompt;
}

function runtimeState({ request }: ReplyContext, { system, tools, messages }: Turn, isRoomy: boolean): string | null {
  const { window, state, clock, timezone = 'UTC' } = request;
  const { counter, trigger_tokens } = window;
  const { tasks } = state.value.tasks_context;
  // What began a moment ago has nothing to be reminded of: the conversation need not be searched.
  const [first] = messages;
  if (isRoomy && tasks.length === 0 && first && clock().getTime() - Date.parse(first.created_at) < STALE_MS)
    return null;
  const tokens = isRoomy ? null : { used: counter.total(system, tools, messages), limit: trigger_tokens };
  return runtimeHint(clock(), timezone, tasks, tokens, lastSeen(messages, PLANNING));
}
