import type { AgentEvent, EventOf } from '../events/agent-event.js';
import type { ToolCallBlock, ToolResultBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';

type Body = AgentEvent extends infer E
  ? E extends AgentEvent
    ? Omit<E, 'id' | 'created_at' | 'reply_id'>
    : never
  : never;

/** The instant of the n-th event that `events` makes, counted from 0. */
export const at = (n: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, n)).toISOString();

/** Completes events of reply `r`: ids and times count up by one. */
export const events = (...bodies: (Body & { reply_id?: string })[]): AgentEvent[] =>
  bodies.map((body, n) => {
    const ofReply = body.type === 'CUSTOM' ? {} : { reply_id: 'r' };
    return { id: `e${n}`, created_at: at(n), ...ofReply, ...body } as AgentEvent;
  });

type Fields<T extends AgentEvent['type']> = Partial<Omit<EventOf<T>, 'type'>>;

const tokens = {
  input_tokens: 1,
  output_tokens: 2,
  cache_input_tokens: 3,
  cache_creation_input_tokens: 4,
  reasoning_tokens: 1,
};

export const call = (id: string, rest: Partial<ToolCallBlock> = {}): ToolCallBlock => ({
  type: 'tool_call',
  id,
  name: 'tool',
  input: '{}',
  state: 'pending',
  suggested_rules: [],
  created_at: at(0),
  finished_at: at(0),
  ...rest,
});

export const toolResult = (id: string, rest: Partial<ToolResultBlock> = {}): ToolResultBlock => ({
  type: 'tool_result',
  id,
  name: 'tool',
  output: [],
  state: 'success',
  created_at: at(0),
  finished_at: at(0),
  ...rest,
});

export const replyStart = (rest: Fields<'REPLY_START'> = {}) =>
  ({ type: 'REPLY_START', session_id: 's', name: 'agent', role: 'assistant', ...rest }) as const;
export const replyEnd = (
  finished_reason: EventOf<'REPLY_END'>['finished_reason'] = 'completed',
  rest: Fields<'REPLY_END'> = {},
) => ({ type: 'REPLY_END', session_id: 's', finished_reason, error: null, ...rest }) as const;
export const modelStart = { type: 'MODEL_CALL_START', model_name: 'm' } as const;
export const modelEnd = { type: 'MODEL_CALL_END', ...tokens, finished_reason: 'completed' } as const;
export const textStart = (block_id = 't') => ({ type: 'TEXT_BLOCK_START', block_id }) as const;
export const textDelta = (delta: string, block_id = 't') => ({ type: 'TEXT_BLOCK_DELTA', block_id, delta }) as const;
export const textEnd = (block_id = 't') => ({ type: 'TEXT_BLOCK_END', block_id }) as const;
export const hint = (block_id = 'h') => ({ type: 'HINT_BLOCK', block_id, source: null, hint: 'Note' }) as const;
export const callStart = (tool_call_id = 'c') =>
  ({ type: 'TOOL_CALL_START', tool_call_id, tool_call_name: 'tool' }) as const;
export const callEnd = (tool_call_id = 'c') => ({ type: 'TOOL_CALL_END', tool_call_id }) as const;
export const resultStart = (tool_call_id = 'c') =>
  ({ type: 'TOOL_RESULT_START', tool_call_id, tool_call_name: 'tool' }) as const;
export const resultText = (delta: string, block_id?: string, tool_call_id = 'c') =>
  ({ type: 'TOOL_RESULT_TEXT_DELTA', tool_call_id, delta, ...(block_id === undefined ? {} : { block_id }) }) as const;
export const resultEnd = (state: EventOf<'TOOL_RESULT_END'>['state'] = 'success', tool_call_id = 'c') =>
  ({ type: 'TOOL_RESULT_END', tool_call_id, state }) as const;
export const confirm = (...tool_calls: ToolCallBlock[]) => ({ type: 'REQUIRE_USER_CONFIRM', tool_calls }) as const;
export const handOver = (...tool_calls: ToolCallBlock[]) =>
  ({ type: 'REQUIRE_EXTERNAL_EXECUTION', tool_calls }) as const;
export const answer = (confirmed: boolean, tool_call: ToolCallBlock = call('c')) => ({
  type: 'USER_CONFIRM_RESULT' as const,
  confirm_results: [{ confirmed, tool_call, rules: null }],
});
export const external = (...execution_results: ToolResultBlock[]) =>
  ({ type: 'EXTERNAL_EXECUTION_RESULT', execution_results }) as const;
export const custom = (name: string, value: Record<string, unknown> = {}) => ({ type: 'CUSTOM', name, value }) as const;
export const rewound = (keep_block_ids: string[], rest: Record<string, unknown> = {}) =>
  custom('reply_rewound', { reply_id: 'r', keep_block_ids, ...rest });

/** A message of a user, as it stands in a transcript. */
export const userMessage = (id: string, text = 'Hi', at = new Date(0).toISOString()): Msg => ({
  id,
  name: 'user',
  role: 'user',
  content: [{ type: 'text', id: `${id}-text`, text, created_at: at, finished_at: at }],
  metadata: {},
  created_at: at,
  finished_at: at,
  finished_reason: null,
  usage: null,
  error: null,
  structured_output: null,
});
