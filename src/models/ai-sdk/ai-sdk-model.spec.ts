import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { describe, expect, it } from '@jest/globals';
import { ModelError, type ModelCall, type ModelPart } from '../../core/models/chat-model.js';
import { AiSdkChatModel } from './ai-sdk-model.js';
import { type AiSdkModelOptions, commonSettings } from './options.js';

type Finish = Extract<LanguageModelV4StreamPart, { type: 'finish' }>;

function finish(unified: Finish['finishReason']['unified'] = 'stop'): Finish {
  return {
    type: 'finish',
    finishReason: { unified, raw: undefined },
    usage: {
      inputTokens: { total: 9, noCache: 4, cacheRead: 3, cacheWrite: 2 },
      outputTokens: { total: undefined, text: undefined, reasoning: undefined },
    },
  };
}

const USAGE = {
  input_tokens: 9,
  output_tokens: 0,
  cache_input_tokens: 3,
  cache_creation_input_tokens: 2,
  reasoning_tokens: 0,
};
const meta = { p: { sig: 's' } };

interface Fake {
  model: AiSdkChatModel;
  seen: LanguageModelV4CallOptions[];
  cancelled: Promise<unknown>;
}

const OPTIONS: AiSdkModelOptions = {
  namespace: 'p',
  mapParameters: (parameters, { hasTools }) => ({
    settings: commonSettings(parameters),
    provider: { store: false, hasTools },
  }),
  media: { input_types: null, carries: [] },
  thinking: 'signed',
};

/** A provider that takes no notice of abort signals. */
function fake(
  start: (controller: ReadableStreamDefaultController<LanguageModelV4StreamPart>) => void,
  options: Partial<AiSdkModelOptions> = {},
): Fake {
  const seen: LanguageModelV4CallOptions[] = [];
  const { promise: cancelled, resolve: cancel } = Promise.withResolvers<unknown>();
  const model: LanguageModelV4 = {
    specificationVersion: 'v4',
    provider: 'fake',
    modelId: 'm',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('not used')),
    doStream: (options) => {
      seen.push(options);
      return Promise.resolve({ stream: new ReadableStream({ start, cancel }) });
    },
  };
  return { model: new AiSdkChatModel(model, { ...OPTIONS, ...options }), seen, cancelled };
}

function replay(...parts: LanguageModelV4StreamPart[]): Fake {
  return fake((controller) => {
    for (const part of parts) controller.enqueue(part);
    controller.close();
  });
}

function callWith(overrides: Partial<ModelCall> = {}): ModelCall {
  const { signal } = new AbortController();
  return { system: '', messages: [], tools: [], parameters: {}, signal, ...overrides };
}

async function collect({ model }: Fake, call = callWith()): Promise<ModelPart[]> {
  const parts: ModelPart[] = [];
  for await (const part of model.stream(call)) parts.push(part);
  return parts;
}

const END: ModelPart = { type: 'finish', usage: USAGE };

const STREAMS: [string, LanguageModelV4StreamPart[], ModelPart[]][] = [
  [
    'text and reasoning that share an id',
    [
      { type: 'stream-start', warnings: [] },
      { type: 'reasoning-start', id: '0' },
      { type: 'reasoning-delta', id: '0', delta: 'hm' },
      { type: 'text-start', id: '0' },
      { type: 'text-delta', id: '0', delta: '' },
      { type: 'reasoning-end', id: '0', providerMetadata: meta },
      { type: 'text-delta', id: '0', delta: 'hi' },
      { type: 'text-end', id: '0' },
    ],
    [
      { type: 'thinking_start', id: '0' },
      { type: 'thinking_delta', id: '0', delta: 'hm' },
      { type: 'thinking_end', id: '0', metadata: { provider_options: meta } },
      { type: 'text_start', id: '0' },
      { type: 'text_delta', id: '0', delta: 'hi' },
      { type: 'text_end', id: '0' },
    ],
  ],
  [
    'empty blocks, kept only when the provider wants them back',
    [
      { type: 'text-start', id: 't' },
      { type: 'text-end', id: 't', providerMetadata: meta },
      { type: 'reasoning-start', id: 'a' },
      { type: 'reasoning-end', id: 'a' },
      { type: 'reasoning-start', id: 'b' },
      { type: 'reasoning-end', id: 'b', providerMetadata: meta },
    ],
    [
      { type: 'thinking_start', id: 'b' },
      { type: 'thinking_end', id: 'b', metadata: { provider_options: meta } },
    ],
  ],
  [
    'what a provider wants back, wherever in the block it says so',
    [
      { type: 'reasoning-start', id: '0', providerMetadata: { p: { item: 'i' } } },
      { type: 'reasoning-delta', id: '0', delta: 'hm' },
      { type: 'reasoning-delta', id: '0', delta: '', providerMetadata: meta },
      { type: 'reasoning-end', id: '0' },
      { type: 'reasoning-start', id: '1', providerMetadata: { p: { redacted: 'x' } } },
      { type: 'reasoning-end', id: '1' },
      { type: 'text-start', id: '0', providerMetadata: { p: { item: 't' } } },
      { type: 'text-delta', id: '0', delta: 'hi', providerMetadata: meta },
      { type: 'text-end', id: '0' },
    ],
    [
      { type: 'thinking_start', id: '0' },
      { type: 'thinking_delta', id: '0', delta: 'hm' },
      { type: 'thinking_end', id: '0', metadata: { provider_options: { p: { item: 'i', sig: 's' } } } },
      { type: 'thinking_start', id: '1' },
      { type: 'thinking_end', id: '1', metadata: { provider_options: { p: { redacted: 'x' } } } },
      { type: 'text_start', id: '0' },
      { type: 'text_delta', id: '0', delta: 'hi' },
      { type: 'text_end', id: '0', metadata: { provider_options: { p: { item: 't', sig: 's' } } } },
    ],
  ],
  [
    'a streamed call',
    [
      { type: 'tool-input-start', id: '1', toolName: 'f' },
      { type: 'tool-input-delta', id: '1', delta: '{"a"' },
      { type: 'tool-input-end', id: '1' },
      { type: 'tool-call', toolCallId: '1', toolName: 'f', input: '{"a":1}', providerMetadata: meta },
    ],
    [
      { type: 'tool_call_start', id: '1', name: 'f' },
      { type: 'tool_call_delta', id: '1', delta: '{"a"' },
      { type: 'tool_call_delta', id: '1', delta: ':1}' },
      { type: 'tool_call_end', id: '1', metadata: { provider_options: meta } },
    ],
  ],
  [
    'a call that was not streamed, and one whose deltas are no JSON',
    [
      { type: 'tool-call', toolCallId: '1', toolName: 'f', input: '{}' },
      { type: 'tool-input-start', id: '2', toolName: 'g', inputEncoding: 'text' },
      { type: 'tool-input-delta', id: '2', delta: 'raw' },
      { type: 'tool-call', toolCallId: '2', toolName: 'g', input: '"raw"' },
    ],
    [
      { type: 'tool_call_start', id: '1', name: 'f' },
      { type: 'tool_call_delta', id: '1', delta: '{}' },
      { type: 'tool_call_end', id: '1' },
      { type: 'tool_call_start', id: '2', name: 'g' },
      { type: 'tool_call_delta', id: '2', delta: '"raw"' },
      { type: 'tool_call_end', id: '2' },
    ],
  ],
  [
    'a call that was never ended',
    [
      { type: 'tool-input-start', id: '1', toolName: 'f' },
      { type: 'tool-input-delta', id: '1', delta: '{}' },
    ],
    [
      { type: 'tool_call_start', id: '1', name: 'f' },
      { type: 'tool_call_delta', id: '1', delta: '{}' },
      { type: 'tool_call_end', id: '1' },
    ],
  ],
  [
    'a generated file',
    [{ type: 'file', mediaType: 'image/png', data: { type: 'data', data: new Uint8Array([0, 0, 0]) } }],
    [{ type: 'data', media_type: 'image/png', data: 'AAAA' }],
  ],
];

/** A provider that does not even begin to answer. */
function silent(timeouts?: AiSdkModelOptions['timeouts']): AiSdkChatModel {
  const model: LanguageModelV4 = {
    specificationVersion: 'v4',
    provider: 'fake',
    modelId: 'm',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('not used')),
    doStream: () => new Promise(() => undefined),
  };
  return new AiSdkChatModel(model, { ...OPTIONS, timeouts });
}

describe('AiSdkChatModel', () => {
  it.each(STREAMS)('streams %s', async (_, parts, expected) => {
    expect(await collect(replay(...parts, finish()))).toEqual([...expected, END]);
  });

  it.each<[string, LanguageModelV4StreamPart[], string]>([
    ['a stream without an end', [{ type: 'text-start', id: '0' }], 'connection'],
    ['an empty stream', [], 'connection'],
    ['an end by interruption', [finish('interrupted')], 'connection'],
    ['an end by error', [finish('error')], 'upstream'],
    ['an error part', [{ type: 'error', error: { message: 'x', statusCode: 429 } }, finish()], 'rate_limit'],
  ])('fails on %s', async (_, parts, type) => {
    const error: unknown = await collect(replay(...parts)).catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ModelError);
    expect((error as ModelError).type).toBe(type);
  });

  it('maps parameters and tools', async () => {
    const parameters = { max_tokens: 5, temperature: 0, top_p: null, top_k: 4 };
    const tools = [{ name: 'f', description: 'd', input_schema: { type: 'object' } }];
    const provider = replay(finish());
    await collect(provider, callWith({ parameters, tools, system: 's' }));
    await collect(provider, callWith());
    expect(provider.seen[0]).toMatchObject({
      prompt: [{ role: 'system', content: 's' }],
      maxOutputTokens: 5,
      temperature: 0,
      topP: undefined,
      topK: 4,
      tools: [{ type: 'function', name: 'f', description: 'd', inputSchema: { type: 'object' } }],
      providerOptions: { p: { store: false, hasTools: true } },
    });
    expect(provider.seen[1]?.tools).toBeUndefined();
    expect(provider.seen[1]?.providerOptions).toEqual({ p: { store: false, hasTools: false } });
  });

  it('ends at once when aborted, though the provider does not listen', async () => {
    const provider = fake((controller) => {
      controller.enqueue({ type: 'text-start', id: '0' });
      controller.enqueue({ type: 'text-delta', id: '0', delta: 'a' });
    });
    const controller = new AbortController();
    const reason = new Error('stopped');
    const parts = provider.model.stream(callWith({ signal: controller.signal }));
    await parts.next();
    await parts.next();
    const pending = parts.next();
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
    expect(provider.seen[0]?.abortSignal?.aborted).toBe(true);
    await expect(provider.cancelled).resolves.toBe(reason);
  });

  it('ends at once when aborted before the provider answers', async () => {
    const controller = new AbortController();
    const pending = silent()
      .stream(callWith({ signal: controller.signal }))
      .next();
    controller.abort('stopped');
    await expect(pending).rejects.toBe('stopped');
  });

  it('cancels the stream when its reader turns away', async () => {
    const provider = fake((controller) => {
      controller.enqueue({ type: 'text-start', id: '0' });
      controller.enqueue({ type: 'text-delta', id: '0', delta: 'a' });
    });
    for await (const part of provider.model.stream(callWith())) {
      expect(part.type).toBe('text_start');
      break;
    }
    await provider.cancelled;
    expect(provider.seen[0]?.abortSignal?.aborted).toBe(true);
  });
});
