import type { DataBlock, TextBlock, ToolCallBlock, ToolResultBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { EventOf } from './agent-event.js';

/** Key of a tool result in `keep_block_ids`, where the bare id names the call. */
export const resultKey = (toolCallId: string): string => `result:${toolCallId}`;

/** A reply that has produced nothing yet. */
export function blankReply(id: string, name: string): Msg {
  return {
    id,
    name,
    role: 'assistant',
    content: [],
    metadata: {},
    created_at: new Date(0).toISOString(),
    finished_at: null,
    finished_reason: null,
    usage: null,
    error: null,
    structured_output: null,
  };
}

export const newCall = (event: EventOf<'TOOL_CALL_START'>): ToolCallBlock => ({
  type: 'tool_call',
  id: event.tool_call_id,
  name: event.tool_call_name,
  input: '',
  state: 'pending',
  suggested_rules: [],
  created_at: event.created_at,
  finished_at: null,
});

export const newResult = (event: EventOf<'TOOL_RESULT_START'>): ToolResultBlock => ({
  type: 'tool_result',
  id: event.tool_call_id,
  name: event.tool_call_name,
  output: [],
  state: 'running',
  created_at: event.created_at,
  finished_at: null,
});

/** Base64 of two parts, each padded on its own. Only the last quantum of `data` is decoded again. */
export function joinBase64(data: string, more: string): string {
  if (!data.endsWith('=')) return data + more;
  const head = data.slice(0, -4);
  const bytes = Buffer.concat([Buffer.from(data.slice(-4), 'base64'), Buffer.from(more, 'base64')]);
  return head + bytes.toString('base64');
}

/** Adds a text delta to the output of a running result. */
export function appendText(result: ToolResultBlock, event: EventOf<'TOOL_RESULT_TEXT_DELTA'>): void {
  const { output } = result;
  const last = output.at(-1);
  if (last?.type === 'text' && (event.block_id === undefined || event.block_id === last.id)) {
    last.text += event.delta;
    return;
  }
  const id = event.block_id ?? freeId(result);
  const named = event.block_id === undefined ? undefined : output.find((b): b is TextBlock => b.id === id && isText(b));
  if (named !== undefined) {
    named.text += event.delta;
    return;
  }
  output.push({ type: 'text', id, text: event.delta, created_at: event.created_at, finished_at: null });
}

/** The data block of a delta; null when it carries nothing. */
export function outputData(event: EventOf<'TOOL_RESULT_DATA_DELTA'>): DataBlock | null {
  const { media_type, data, url } = event;
  if (data === undefined && url === undefined) return null;
  return {
    type: 'data',
    id: event.block_id,
    source: data !== undefined ? { type: 'base64', data, media_type } : { type: 'url', url: url ?? '', media_type },
    name: null,
    created_at: event.created_at,
    finished_at: event.created_at,
  };
}

const isText = (block: TextBlock | DataBlock): block is TextBlock => block.type === 'text';

/** An explicit `block_id` may already look like a generated one. */
function freeId(result: ToolResultBlock): string {
  let index = result.output.length;
  while (result.output.some((block) => block.id === `${result.id}-${index}`)) index += 1;
  return `${result.id}-${index}`;
}
