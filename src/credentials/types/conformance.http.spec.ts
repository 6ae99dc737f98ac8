import { type ChatCompletionRequest, LLMock } from '@copilotkit/aimock';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ChatModel } from '../../core/models/chat-model.js';
import { collect, outline, request, tool } from '../../core/testing/reply-harness.js';
import { ask, callOf, fail, file, listen, message, text } from '../../../test/support/model-calls.js';
import { modelAt, type ProviderName, PROVIDERS } from '../../../test/support/provider-models.js';
import type { ReplyRequest } from '../../core/agent/reply-request.js';
import type { ToolChunk } from '../../core/agent/tool.js';
import type { ErrorType } from '../../core/messages/message.js';

/** The same conversations with every provider, over HTTP, against a server that speaks all their protocols. */
const PROVIDER_NAMES = Object.keys(PROVIDERS) as ProviderName[];
const PIXEL = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';

const mock = new LLMock({ port: 0, chunkSize: 5 });

beforeAll(async () => {
  const error = (status: number) => ({ error: { message: 'what the provider said' }, status });
  mock.onMessage('hello', { content: 'Hi there, how are you?' });
  mock.onMessage('think', { content: 'It is 42.', reasoning: 'Six times seven.' });
  mock.onMessage('weather', {
    toolCalls: [
      { name: 'weather', arguments: { city: 'Rome' }, id: 'call_a' },
      { name: 'time', arguments: { city: 'Oslo' }, id: 'call_b' },
    ],
  });
  mock.onMessage('picture', { content: 'One pixel.' });
  const [first, later] = [{ hasToolResult: false }, { hasToolResult: true }];
  mock.on({ userMessage: 'compute', ...first }, { toolCalls: [{ name: 'weather', arguments: '{}', id: 'call_1' }] });
  mock.on({ userMessage: 'compute', ...later }, { content: 'Sunny.' });
  mock.on(
    { userMessage: 'ponder', ...first },
    { toolCalls: [{ name: 'weather', arguments: '{}', id: 'call_1' }], reasoning: 'Six times seven.' },
  );
  mock.on({ userMessage: 'ponder', ...later }, { content: 'Sunny.' });
  // Each provider meets the rate limit once.
  let busy = false;
  const predicate = (words: string) => (req: ChatCompletionRequest) => JSON.stringify(req.messages).includes(words);
  mock.on({ predicate: predicate('busy') }, () => ((busy = !busy) ? error(429) : { content: 'Now.' }));
  mock.on({ predicate: (req) => predicate('occupied')(req) && req.model !== 'spare-model' }, error(503));
  mock.onMessage('occupied', { content: 'I am free.' });
  mock.onMessage('bad request', error(400));
  mock.onMessage('bad key', error(401));
  mock.onMessage('forbidden', error(403));
  mock.onMessage('too fast', { ...error(429), retryAfter: 7 });
  mock.onMessage('broken', error(500));
  mock.onMessage('overloaded', error(503));
  await mock.start();
});
afterAll(() => mock.stop());

/** Chat Completions of OpenAI itself tell no thoughts. */
const SILENT: readonly ProviderName[] = ['openai_chat', 'azure_openai_dated'];
/** As plain text, as a summary or with a signature; the others tell no thoughts, or take none back without a signature. */
const GIVEN_BACK: readonly ProviderName[] = [
  'openai_responses',
  'azure_openai',
  'xai',
  'anthropic',
  'dashscope',
  'deepseek',
  'moonshot',
  'ollama',
];

/** Where the mock does not write what the provider documents: the status of each item with xAI, the name of the field with Ollama. */
const MENDED: Partial<Record<ProviderName, [string, string]>> = {
  xai: ['"type":"reasoning"', '"type":"reasoning","status":"completed"'],
  ollama: ['"reasoning_content":', '"thinking":'],
};

describe.each(PROVIDER_NAMES)('%s', (provider) => {
  const sent: string[] = [];
  const fetch: typeof globalThis.fetch = async (input, init) => {
    if (typeof init?.body === 'string') sent.push(init.body);
    const response = await globalThis.fetch(input, init);
    const mended = MENDED[provider];
    return mended === undefined ? response : mend(response, ...mended);
  };
  const model = () => modelAt(provider, mock.url, { fetch });

  it('streams text', async () => {
    const said = await listen(model(), ask('hello'));
    expect(said.text).toBe('Hi there, how are you?');
    expect(said.deltas).toBeGreaterThan(2);
    expect(said.usage).toBeDefined();
  });

  it('streams thinking', async () => {
    const said = await listen(
      model(),
      ask('think', { parameters: { thinking_enable: true, thinking_mode: 'adaptive' } }),
    );
    expect([said.thinking, said.text]).toEqual([SILENT.includes(provider) ? '' : 'Six times seven.', 'It is 42.']);
  });

  it('streams parallel calls', async () => {
    const { calls } = await listen(model(), ask('weather'));
    const made = Object.values(calls).map(({ name, input, ended }) => [name, JSON.parse(input) as unknown, ended]);
    expect(made).toEqual([
      ['weather', { city: 'Rome' }, true],
      ['time', { city: 'Oslo' }, true],
    ]);
  });

  it('sees an image, if it can', async () => {
    const image = file({ type: 'base64', data: PIXEL, media_type: 'image/png' });
    const said = await listen(model(), callOf({ messages: [message('user', text('picture'), image)] }));
    expect(said.text).toBe('One pixel.');
    expect(sent.at(-1)?.includes(PIXEL)).toBe(provider !== 'openai_audio');
  });

  it('calls a tool in a reply, and answers with its result', async () => {
    const events = await collect(requestOf(model(), 'compute'));
    const said = outline(events);
    expect(said.filter((it) => /^TOOL_RESULT_END \S+ success$/.test(it))).toHaveLength(1);
    expect(said.at(-1)).toBe('REPLY_END completed');
    expect(sent.at(-1)).toContain('It is sunny.');
  });

  // The mock announces Bedrock's thoughts as text, which Amazon does not.
  if (provider !== 'bedrock') {
    it('gives the thinking that led to a call back to who wants it', async () => {
      const events = await collect(requestOf(model(), 'ponder', undefined, { thinking_enable: true }));
      expect(outline(events).at(-1)).toBe('REPLY_END completed');
      expect(sent.at(-1)).toContain('It is sunny.');
      expect(sent.at(-1)?.includes('Six times seven.')).toBe(GIVEN_BACK.includes(provider));
    });
  }

  it('is tried again in a reply, and succeeds', async () => {
    const events = await collect(requestOf(model(), 'busy'));
    expect(outline(events).at(-1)).toBe('REPLY_END completed');
    expect(sent.filter((body) => body.includes('busy')).length).toBe(2);
  });

  it('gives way in a reply to the fallback', async () => {
    const fallback = modelAt('openai_compatible', mock.url, { model: 'spare-model' });
    const events = await collect(requestOf(model(), 'occupied', fallback));
    const tried = outline(events).filter((it) => it.startsWith('MODEL_CALL_START'));
    expect([...new Set(tried)]).toEqual([`MODEL_CALL_START ${model().name}`, 'MODEL_CALL_START spare-model']);
    expect(tried.at(-2)).toBe(`MODEL_CALL_START ${model().name}`);
    expect(outline(events).at(-1)).toBe('REPLY_END completed');
  });

  it.each<[string, ErrorType, number | undefined]>([
    ['bad request', 'invalid_request', undefined],
    ['bad key', 'authentication', undefined],
    ['forbidden', 'permission', undefined],
    ['too fast', 'rate_limit', 7000],
    ['broken', 'upstream', undefined],
    ['overloaded', 'upstream', undefined],
  ])('answers %s', async (words, type, retry_after_ms) => {
    const { error } = await fail(model(), ask(words));
    expect([error.type, error.options.retry_after_ms]).toEqual([type, retry_after_ms]);
  });
});

async function* sunny(): AsyncGenerator<ToolChunk> {
  yield { type: 'text', text: 'It is sunny.' };
}

function requestOf(
  model: ChatModel,
  words: string,
  fallback?: ChatModel,
  parameters: Record<string, unknown> = {},
): ReplyRequest {
  return request(model, {
    model: { model, parameters },
    history: [message('user', text(words))],
    tools: [tool('weather', sunny)],
    fallback: fallback === undefined ? null : { model: fallback, parameters: {} },
  });
}

function mend(response: Response, wrong: string, right: string): Response {
  const decoder = new TextDecoder();
  const encoder = new TextEncoder();
  const mending = new TransformStream<Uint8Array, Uint8Array>({
    transform: (chunk, controller) => {
      controller.enqueue(encoder.encode(decoder.decode(chunk, { stream: true }).replaceAll(wrong, right)));
    },
  });
  return new Response(response.body?.pipeThrough(mending), { status: response.status, headers: response.headers });
}
