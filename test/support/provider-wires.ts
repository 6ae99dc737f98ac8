import type { ServerResponse } from 'node:http';

/** The shapes of a streamed answer as the providers document them: frames of one answer, written as they come. */
export interface Wire {
  readonly contentType: string;
  /** Two words, `Half` and ` done`, and what goes before them. */
  readonly half: readonly string[];
  readonly rest: readonly string[];
  /** An error in mid-stream that says the provider is overloaded. */
  readonly overloaded: readonly string[];
  /** The usage that `rest` reports: input with what was read from a cache, and written to it; output with what was only thought. */
  readonly usage: { input: number; output: number; cached: number; written: number; thought: number };
}

const sse = (data: object, event?: string): string =>
  `${event === undefined ? '' : `event: ${event}\n`}data: ${JSON.stringify(data)}\n\n`;

const chunk = (delta: object, finish_reason: string | null = null, more: object = {}): string =>
  sse({
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta, finish_reason }],
    ...more,
  });

const CHAT: Wire = {
  contentType: 'text/event-stream',
  half: [chunk({ role: 'assistant', content: '' }), chunk({ content: 'Half' })],
  rest: [
    chunk({ content: ' done' }),
    chunk({}, 'stop'),
    sse({
      id: 'c',
      object: 'chat.completion.chunk',
      created: 1,
      model: 'm',
      choices: [],
      usage: {
        prompt_tokens: 100,
        completion_tokens: 7,
        total_tokens: 107,
        prompt_tokens_details: { cached_tokens: 60 },
        completion_tokens_details: { reasoning_tokens: 3 },
        // DeepSeek counts its cache beside.
        prompt_cache_hit_tokens: 60,
        prompt_cache_miss_tokens: 40,
      },
    }),
    'data: [DONE]\n\n',
  ],
  overloaded: [sse({ error: { message: 'busy', type: 'server_error', code: 'server_error' } })],
  usage: { input: 100, output: 7, cached: 60, written: 0, thought: 3 },
};

const item = { id: 'msg_1', type: 'message', role: 'assistant', status: 'in_progress', content: [] };
const answer = { id: 'resp_1', object: 'response', created_at: 1, model: 'm', output: [], status: 'in_progress' };
const named = (type: string, data: object): string => sse({ type, ...data }, type);

const RESPONSES: Wire = {
  contentType: 'text/event-stream',
  half: [
    named('response.created', { response: answer, sequence_number: 0 }),
    named('response.output_item.added', { output_index: 0, item, sequence_number: 1 }),
    named('response.content_part.added', {
      item_id: 'msg_1',
      output_index: 0,
      content_index: 0,
      part: { type: 'output_text', text: '', annotations: [] },
      sequence_number: 2,
    }),
    named('response.output_text.delta', {
      item_id: 'msg_1',
      output_index: 0,
      content_index: 0,
      delta: 'Half',
      logprobs: [],
      sequence_number: 3,
    }),
  ],
  rest: [
    named('response.output_text.delta', {
      item_id: 'msg_1',
      output_index: 0,
      content_index: 0,
      delta: ' done',
      logprobs: [],
      sequence_number: 4,
    }),
    named('response.output_item.done', {
      output_index: 0,
      item: {
        ...item,
        status: 'completed',
        content: [{ type: 'output_text', text: 'Half done', annotations: [], logprobs: [] }],
      },
      sequence_number: 5,
    }),
    named('response.completed', {
      response: {
        ...answer,
        status: 'completed',
        usage: {
          input_tokens: 100,
          input_tokens_details: { cached_tokens: 60 },
          output_tokens: 7,
          output_tokens_details: { reasoning_tokens: 3 },
          total_tokens: 107,
        },
      },
      sequence_number: 6,
    }),
  ],
  overloaded: [
    named('response.failed', {
      response: { ...answer, status: 'failed', error: { code: 'server_error', message: 'busy' } },
      sequence_number: 4,
    }),
  ],
  usage: { input: 100, output: 7, cached: 60, written: 0, thought: 3 },
};

const ANTHROPIC: Wire = {
  contentType: 'text/event-stream',
  half: [
    named('message_start', {
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: 'm',
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: 30, cache_read_input_tokens: 60, cache_creation_input_tokens: 10, output_tokens: 1 },
      },
    }),
    named('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    named('ping', {}),
    named('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Half' } }),
  ],
  rest: [
    named('content_block_delta', { index: 0, delta: { type: 'text_delta', text: ' done' } }),
    named('content_block_stop', { index: 0 }),
    named('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 7 } }),
    named('message_stop', {}),
  ],
  overloaded: [named('error', { error: { type: 'overloaded_error', message: 'Overloaded' } })],
  usage: { input: 100, output: 7, cached: 60, written: 10, thought: 0 },
};

const candidate = (text: string, more: object = {}) => ({
  content: { role: 'model', parts: [{ text }] },
  index: 0,
  ...more,
});

const GEMINI: Wire = {
  contentType: 'text/event-stream',
  half: [sse({ candidates: [candidate('Half')] })],
  rest: [
    sse({
      candidates: [candidate(' done', { finishReason: 'STOP' })],
      usageMetadata: {
        promptTokenCount: 100,
        candidatesTokenCount: 4,
        thoughtsTokenCount: 3,
        cachedContentTokenCount: 60,
        totalTokenCount: 107,
      },
    }),
  ],
  overloaded: [sse({ error: { code: 503, message: 'The model is overloaded.', status: 'UNAVAILABLE' } })],
  usage: { input: 100, output: 7, cached: 60, written: 0, thought: 3 },
};

const line = (data: object): string =>
  `${JSON.stringify({ model: 'm', created_at: '2026-11-20T10:00:00.000Z', ...data })}\n`;
const saying = (content: string) => ({ message: { role: 'assistant', content }, done: false });

const OLLAMA: Wire = {
  contentType: 'application/x-ndjson',
  half: [line(saying('Half'))],
  rest: [
    line(saying(' done')),
    line({
      message: { role: 'assistant', content: '' },
      done: true,
      done_reason: 'stop',
      prompt_eval_count: 100,
      eval_count: 7,
    }),
  ],
  overloaded: ['{"error":"llama runner process has terminated"}\n'],
  usage: { input: 100, output: 7, cached: 0, written: 0, thought: 0 },
};

export const WIRES = { chat: CHAT, responses: RESPONSES, anthropic: ANTHROPIC, gemini: GEMINI, ollama: OLLAMA };

export function begin(response: ServerResponse, wire: Wire, frames: readonly string[] = wire.half): void {
  if (!response.headersSent) response.writeHead(200, { 'content-type': wire.contentType });
  response.write(frames.join(''));
}
