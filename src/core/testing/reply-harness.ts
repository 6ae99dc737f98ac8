import type { ReplyRequest } from '../agent/reply-request.js';
import { runReply } from '../agent/reply.js';
import type { Tool, ToolChunk, ToolContext } from '../agent/tool.js';
import { Toolkit } from '../agent/toolkit.js';
import { ContextWindow, type WindowOptions } from '../context/context-window.js';
import { TokenCounter } from '../context/token-counter.js';
import type { AgentEvent } from '../events/agent-event.js';
import { ReplyReducer } from '../events/reply-reducer.js';
import type { ChatModel } from '../models/chat-model.js';
import { permissionContext } from '../permissions/permission-context.js';
import type { ShellParser } from '../permissions/shell/shell-parser.js';
import { AgentState } from '../state/session-state.js';

/** A tool made of a generator; everything else has a default. */
export const tool = (
  name: string,
  run: (input: unknown, context: ToolContext) => AsyncIterable<ToolChunk>,
  rest: Partial<Tool> = {},
): Tool => ({
  name,
  description: name,
  input_schema: { type: 'object' },
  is_read_only: false,
  is_concurrency_safe: false,
  is_idempotent: false,
  run,
  ...rest,
});

/** A large window, in which every character is a token. */
export const windowOf = (rest: Partial<WindowOptions> = {}): ContextWindow =>
  new ContextWindow({
    context_size: 1_000_000,
    trigger_ratio: 0.8,
    reserve_ratio: 0.1,
    max_image_num: 5,
    counter: new TokenCounter({ count: (text) => text.length }),
    offload: null,
    ...rest,
  });

/** For replies without shell commands. */
export const noShell: ShellParser = { parse: () => null };

/** A request with counted ids, a clock that advances a millisecond per look, and no waiting. */
export function request(model: ChatModel, rest: Partial<ReplyRequest> & { tools?: Tool[] } = {}): ReplyRequest {
  let ids = 0;
  let time = Date.UTC(2026, 0, 1);
  const { tools = [], ...overrides } = rest;
  return {
    reply_id: 'r',
    run_id: 'run',
    session_id: 's',
    agent_name: 'agent',
    system_prompt: 'Be kind.',
    history: [],
    reply: ReplyReducer.blank('r', 'agent'),
    model: { model, parameters: {} },
    fallback: null,
    toolkit: new Toolkit(tools),
    permissions: permissionContext('bypass'),
    shellParser: noShell,
    state: new AgentState(),
    window: windowOf(),
    max_iters: 10,
    signal: new AbortController().signal,
    newId: () => `id${(ids += 1)}`,
    clock: () => new Date((time += 1)),
    sleep: () => Promise.resolve(),
    random: () => 0,
    ...overrides,
  };
}

/** All events of a reply; `onEvent` sees each before the next is asked for. */
export async function collect(req: ReplyRequest, onEvent?: (event: AgentEvent) => void): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of runReply(req)) {
    events.push(event);
    onEvent?.(event);
  }
  return events;
}

/** One line per event: its type and what tells it apart. */
export const outline = (events: readonly AgentEvent[]): string[] =>
  events.map((event) => {
    const fields: unknown[] = [event.type];
    if ('tool_call_id' in event) fields.push(event.tool_call_id);
    if (event.type === 'MODEL_CALL_START') fields.push(event.model_name);
    if ('delta' in event) fields.push(JSON.stringify(event.delta));
    if (event.type === 'TOOL_RESULT_END') fields.push(event.state);
    if (event.type === 'REPLY_END' || event.type === 'MODEL_CALL_END') fields.push(event.finished_reason);
    if (event.type === 'MODEL_CALL_END' && event.error_type !== undefined) fields.push(event.error_type);
    if (event.type === 'REPLY_END' && event.error !== null) fields.push(event.error.type);
    return fields.join(' ');
  });
