import type { ContentBlock, DataBlock, DataSource, TextBlock } from '../../src/core/messages/block.js';
import type { Msg, Usage } from '../../src/core/messages/message.js';
import { type ChatModel, ModelError, type ModelCall, type ModelPart } from '../../src/core/models/chat-model.js';

const NOW = '2026-11-20T10:00:00.000Z';
const span = { created_at: NOW, finished_at: NOW };

export const TOOLS = [
  { name: 'weather', description: 'Weather of a city', input_schema: { type: 'object', properties: {} } },
  { name: 'time', description: 'Time of a city', input_schema: { type: 'object', properties: {} } },
];

export const text = (value: string): TextBlock => ({ type: 'text', id: 't', text: value, ...span });
export const file = (source: DataSource, name: string | null = null): DataBlock => ({
  type: 'data',
  id: 'd',
  source,
  name,
  ...span,
});

export function message(role: Msg['role'], ...content: ContentBlock[]): Msg {
  const nothing = { finished_reason: null, usage: null, error: null, structured_output: null };
  return { id: role, name: role, role, content, metadata: {}, ...span, ...nothing };
}

export function callOf(overrides: Partial<ModelCall> = {}): ModelCall {
  const { signal } = new AbortController();
  return {
    system: 'Be brief.',
    messages: [message('user', text('x'))],
    tools: [],
    parameters: {},
    signal,
    ...overrides,
  };
}

export const ask = (value: string, overrides: Partial<ModelCall> = {}): ModelCall =>
  callOf({ messages: [message('user', text(value))], tools: TOOLS, ...overrides });

/** What a model said, put together. */
export interface Said {
  readonly text: string;
  readonly thinking: string;
  readonly calls: Record<string, { name: string; input: string; ended: boolean }>;
  readonly usage: Usage | undefined;
  readonly deltas: number;
}

export async function listen(model: ChatModel, call: ModelCall): Promise<Said> {
  const parts: ModelPart[] = [];
  for await (const part of model.stream(call)) parts.push(part);
  return put(parts);
}

/** The error a call ends with, and what came before it. */
export async function fail(model: ChatModel, call: ModelCall): Promise<{ error: ModelError; said: Said }> {
  const parts: ModelPart[] = [];
  try {
    for await (const part of model.stream(call)) parts.push(part);
  } catch (error) {
    if (error instanceof ModelError) return { error, said: put(parts) };
    throw error;
  }
  throw new Error('The call did not fail.');
}

function put(parts: readonly ModelPart[]): Said {
  const said = { text: '', thinking: '', calls: {} as Said['calls'], usage: undefined as Usage | undefined, deltas: 0 };
  for (const part of parts) {
    const call = 'id' in part ? said.calls[part.id] : undefined;
    if (part.type === 'text_delta') [said.text, said.deltas] = [said.text + part.delta, said.deltas + 1];
    if (part.type === 'thinking_delta') said.thinking += part.delta;
    if (part.type === 'tool_call_start') said.calls[part.id] = { name: part.name, input: '', ended: false };
    if (part.type === 'tool_call_delta' && call !== undefined) call.input += part.delta;
    if (part.type === 'tool_call_end' && call !== undefined) call.ended = true;
    if (part.type === 'finish') said.usage = part.usage;
  }
  return said;
}
