import type { AgentEvent } from '../events/agent-event.js';
import { storable, storableJson } from '../messages/storable.js';
import type { HintBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { ToolSpec } from '../models/chat-model.js';
import type { ReplyContext } from './reply-context.js';
import { STRUCTURED_OUTPUT_TOOL, STRUCTURED_REMINDER } from './structured-output.js';

/** What a model is asked in one turn, whichever of the models answers. */
export interface Turn {
  readonly system: string;
  readonly messages: readonly Msg[];
  readonly tools: readonly ToolSpec[];
}

/** Says what the agent is to hear before its next turn: hints that came meanwhile, and what is still expected of it. */
export async function* beforeTurn(ctx: ReplyContext, iter: number): AsyncGenerator<AgentEvent, void, void> {
  const { inbox, structured, newId } = ctx.request;
  if (inbox?.hasHints === true) {
    for (const { id, hint, source } of await ctx.race(() => inbox.take(), true)) {
      // Said before a crash, and given again after it.
      if (ctx.reply.block(id) !== undefined) continue;
      const block = { block_id: id, hint: storableJson(hint) as HintBlock['hint'] };
      yield ctx.emit({ type: 'HINT_BLOCK', ...block, source: source === null ? null : storable(source) });
    }
  }
  if (structured !== undefined && (ctx.answered || iter === ctx.request.max_iters)) {
    const source = JSON.stringify({ label: 'System', sublabel: 'Structured output' });
    yield ctx.emit({ type: 'HINT_BLOCK', block_id: newId(), hint: STRUCTURED_REMINDER, source });
  }
}

export async function turnOf(ctx: ReplyContext, iter: number): Promise<Turn> {
  const { request, toolkit } = ctx;
  const offered = toolkit.offered(request.state.value.tools_context);
  // Beyond its iterations the agent can do nothing but come to its answer.
  const tools = iter < request.max_iters ? offered : offered.filter((tool) => tool.name === STRUCTURED_OUTPUT_TOOL);
  return { system: await systemPrompt(ctx), messages: messagesOf(ctx), tools };
}

function messagesOf({ request, reply }: ReplyContext): readonly Msg[] {
  const { msg } = reply;
  // A snapshot: the message grows while the model may still be reading its input.
  return msg.content.length === 0 ? request.history : [...request.history, { ...msg, content: [...msg.content] }];
}

async function systemPrompt(ctx: ReplyContext): Promise<string> {
  let prompt = ctx.request.system_prompt;
  for (const hook of ctx.hooks.having('onSystemPrompt')) {
    const before = prompt;
    prompt = await ctx.race(async () => hook(ctx.hooks.scope, before), true);
  }
  return prompt;
}
