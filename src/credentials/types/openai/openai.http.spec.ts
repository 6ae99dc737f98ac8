import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { createOpenAI } from '@ai-sdk/openai';
import { LLMock } from '@copilotkit/aimock';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import type { ErrorType, Msg } from '../../../core/messages/message.js';
import { type ChatModel, ModelError, type ModelCall, type ModelPart } from '../../../core/models/chat-model.js';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import { openAiCredentialType } from './openai.type.js';
import { openAiModelOptions } from './provider-options.js';

const NOW = '2026-11-20T10:00:00.000Z';
const TOOLS = [
  { name: 'weather', description: 'Weather of a city', input_schema: { type: 'object', properties: {} } },
  { name: 'time', description: 'Time of a city', input_schema: { type: 'object', properties: {} } },
];

function modelAt(base_url: string): ChatModel {
  const data = { type: 'openai_credential' as const, name: '', api_key: 'sk-test', base_url };
  return openAiCredentialType.createChatModel(data, { name: 'some-model', card: null }, { fetch: globalThis.fetch });
}

function ask(text: string, signal = new AbortController().signal): ModelCall {
  const span = { created_at: NOW, finished_at: NOW };
  const nothing = { finished_reason: null, usage: null, error: null, structured_output: null };
  const content: Msg['content'] = [{ type: 'text', id: 'b', text, ...span }];
  const message: Msg = { id: 'u', name: 'user', role: 'user', content, metadata: {}, ...span, ...nothing };
  return { system: 'Be brief.', messages: [message], tools: TOOLS, parameters: { max_tokens: 50 }, signal };
}

async function collect(model: ChatModel, call: ModelCall): Promise<ModelPart[]> {
  const parts: ModelPart[] = [];
  for await (const part of model.stream(call)) parts.push(part);
  return parts;
}

async function failure(model: ChatModel, call: ModelCall): Promise<{ parts: ModelPart[]; error: ModelError }> {
  const parts: ModelPart[] = [];
  try {
    for await (const part of model.stream(call)) parts.push(part);
  } catch (error) {
    if (error instanceof ModelError) return { parts, error };
    throw error;
  }
  throw new Error('The call did not fail.');
}

const textOf = (parts: ModelPart[]): string => parts.map((p) => (p.type === 'text_delta' ? p.delta : '')).join('');

describe('an OpenAI-compatible server', () => {
  const mock = new LLMock({ port: 0, chunkSize: 5 });
  const usage = { prompt_tokens: 11, completion_tokens: 7, total_tokens: 18 };
  let chat: ChatModel;
  let responses: ChatModel;

  beforeAll(async () => {
    mock.onMessage('hello', { content: 'Hi there, how are you?', usage });
    mock.onMessage('weather', {
      toolCalls: [
        { name: 'weather', arguments: { city: 'Rome' }, id: 'call_a' },
        { name: 'time', arguments: { city: 'Oslo' }, id: 'call_b' },
      ],
    });
    const error = (status: number, message: string) => ({ error: { message }, status });
    mock.onMessage('bad request', error(400, 'no'));
    mock.onMessage('bad key', error(401, 'no'));
    mock.onMessage('forbidden', error(403, 'no'));
    mock.onMessage('too fast', { ...error(429, 'no'), retryAfter: 7 });
    mock.onMessage('broken', error(500, 'no'));
    mock.onMessage('overloaded', error(503, 'no'));
    await mock.start();
    chat = modelAt(`${mock.url}/v1/`);
    const provider = createOpenAI({ apiKey: 'sk-test', baseURL: `${mock.url}/v1` });
    const options = openAiModelOptions({ name: 'gpt-5.5', card: null }, 'responses');
    responses = new AiSdkChatModel(provider.responses('gpt-5.5'), options);
  });
  afterAll(() => mock.stop());

  it('streams text and reports usage', async () => {
    const parts = await collect(chat, ask('hello'));
    expect(textOf(parts)).toBe('Hi there, how are you?');
    expect(parts.filter((part) => part.type === 'text_delta').length).toBeGreaterThan(2);
    expect(parts[0]?.type).toBe('text_start');
    expect(parts.slice(-2)).toEqual([
      { type: 'text_end', id: expect.any(String) },
      {
        type: 'finish',
        usage: { input_tokens: 11, output_tokens: 7, cache_input_tokens: 0, cache_creation_input_tokens: 0 },
      },
    ]);
    expect(mock.getLastRequest()?.path).toBe('/v1/chat/completions');
    expect(mock.getLastRequest()?.body).toMatchObject({ model: 'some-model', max_tokens: 50, stream: true });
  });

  it('streams by the Responses API too, and stores nothing', async () => {
    expect(textOf(await collect(responses, ask('hello')))).toBe('Hi there, how are you?');
    expect(mock.getLastRequest()?.path).toBe('/v1/responses');
  });

  it.each(['chat', 'responses'])('streams parallel tool calls by %s', async (api) => {
    const parts = await collect(api === 'chat' ? chat : responses, ask('weather'));
    const calls: Record<string, { name: string; input: string; ended: boolean }> = {};
    for (const part of parts) {
      if (part.type === 'tool_call_start') calls[part.id] = { name: part.name, input: '', ended: false };
      const call = 'id' in part ? calls[part.id] : undefined;
      if (call !== undefined && part.type === 'tool_call_delta') call.input += part.delta;
      if (call !== undefined && part.type === 'tool_call_end') call.ended = true;
    }
    expect(calls).toEqual({
      call_a: { name: 'weather', input: '{"city":"Rome"}', ended: true },
      call_b: { name: 'time', input: '{"city":"Oslo"}', ended: true },
    });
    expect(parts.at(-1)?.type).toBe('finish');
  });

  it.each<[string, ErrorType, number | undefined]>([
    ['bad request', 'invalid_request', undefined],
    ['bad key', 'authentication', undefined],
    ['forbidden', 'permission', undefined],
    ['too fast', 'rate_limit', 7000],
    ['broken', 'upstream', undefined],
    ['overloaded', 'upstream', undefined],
  ])('answers %s', async (text, type, retryAfter) => {
    for (const model of [chat, responses]) {
      const before = mock.getRequests().length;
      const { error, parts } = await failure(model, ask(text));
      expect([error.type, error.options.retry_after_ms, parts]).toEqual([type, retryAfter, []]);
      expect(mock.getRequests().length).toBe(before + 1);
    }
  });
});

describe('a server that does not behave', () => {
  let server: Server | undefined;

  /** Answers every request by `answer`; tells the base URL. */
  async function serve(answer: (response: ServerResponse, request: IncomingMessage) => void): Promise<string> {
    server = createServer((request, response) => {
      request.resume();
      request.on('end', () => answer(response, request));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`;
  }

  function begin(response: ServerResponse): void {
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(`data: ${JSON.stringify({ choices: [{ index: 0, delta: { content: 'Half' } }] })}\n\n`);
  }

  afterEach(async () => {
    const open = server;
    server = undefined;
    if (open === undefined || !open.listening) return;
    open.closeAllConnections();
    open.close();
    await once(open, 'close');
  });

  it('is not there', async () => {
    const url = await serve(() => undefined);
    server?.close();
    await once(server as Server, 'close');
    expect((await failure(modelAt(url), ask('x'))).error.type).toBe('connection');
  });

  it('hangs up before it answers', async () => {
    const url = await serve((response) => response.destroy());
    expect((await failure(modelAt(url), ask('x'))).error.type).toBe('connection');
  });

  it('cuts the stream half-way by a lost connection', async () => {
    const cut = Promise.withResolvers<() => void>();
    const url = await serve((response) => {
      begin(response);
      cut.resolve(() => response.destroy());
    });
    const parts: ModelPart[] = [];
    const reading = (async () => {
      for await (const part of modelAt(url).stream(ask('x'))) {
        parts.push(part);
        if (part.type === 'text_delta') (await cut.promise)();
      }
    })();
    await expect(reading).rejects.toMatchObject({ name: 'ModelError', type: 'connection' });
    expect(textOf(parts)).toBe('Half');
  });

  it('ends the stream half-way as if all were well', async () => {
    const url = await serve((response) => {
      begin(response);
      response.end();
    });
    const { error, parts } = await failure(modelAt(url), ask('x'));
    expect([error.type, textOf(parts)]).toEqual(['connection', 'Half']);
  });

  it('reports an error within the stream', async () => {
    const url = await serve((response) => {
      begin(response);
      response.end('data: {"error":{"message":"Too fast","type":"rate_limit_error"}}\n\n');
    });
    const { error, parts } = await failure(modelAt(url), ask('x'));
    expect([error.type, textOf(parts)]).toEqual(['rate_limit', 'Half']);
  });

  it('talks no JSON', async () => {
    const url = await serve((response) => {
      begin(response);
      response.end('data: {oops\n\n');
    });
    expect((await failure(modelAt(url), ask('x'))).error.type).toBe('upstream');
  });

  it('sees the request end when the caller aborts', async () => {
    const closed = Promise.withResolvers<number>();
    const url = await serve((response) => {
      begin(response);
      response.on('close', () => closed.resolve(performance.now()));
    });
    const controller = new AbortController();
    const reason = new Error('stopped');
    const parts = modelAt(url).stream(ask('x', controller.signal))[Symbol.asyncIterator]();
    await parts.next();
    await parts.next();
    const pending = parts.next();
    const aborted = performance.now();
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    expect((await closed.promise) - aborted).toBeLessThan(100);
  });

  it('sees the request end when the caller aborts before the answer', async () => {
    const arrived = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    const url = await serve((response) => {
      response.on('close', () => closed.resolve());
      arrived.resolve();
    });
    const controller = new AbortController();
    const pending = collect(modelAt(url), ask('x', controller.signal));
    await arrived.promise;
    controller.abort('stopped');
    await expect(pending).rejects.toBe('stopped');
    await closed.promise;
  });

  it('sees the request end when the caller turns away', async () => {
    const closed = Promise.withResolvers<void>();
    const url = await serve((response) => {
      begin(response);
      response.on('close', () => closed.resolve());
    });
    for await (const part of modelAt(url).stream(ask('x'))) {
      expect(part.type).toBe('text_start');
      break;
    }
    await closed.promise;
  });
});
