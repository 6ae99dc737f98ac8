// npm run bench -- model-path: what our model path costs for each streamed delta beyond the provider package's own `doStream`.
import { createOpenAI } from '@ai-sdk/openai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { median } from './meter.mjs';

// Built by the launcher before this runs; not there when the sources are checked.
const DIST = new URL('../../dist/src/', import.meta.url);
const DELTAS = 20_000;
const ROUNDS = 9;
const LIMIT_US = 15;

const frame = (data) => `data: ${JSON.stringify(data)}\n\n`;
const chat = (delta, finish_reason = null) =>
  frame({
    id: 'c',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices: [{ index: 0, delta, finish_reason }],
  });
const named = (type, data) => `event: ${type}\n${frame({ type, ...data })}`;

const PROVIDERS = {
  openai: {
    model: (fetch) => createOpenAI({ apiKey: 'k', baseURL: 'http://bench/v1', fetch }).chat('gpt-4.1'),
    options: async () => (await load('credentials/types/openai/provider-options.js')).openAiModelOptions,
    api: 'chat',
    first: [chat({ role: 'assistant', content: '' })],
    delta: chat({ content: 'word ' }),
    last: [chat({}, 'stop'), 'data: [DONE]\n\n'],
  },
  anthropic: {
    model: (fetch) => createAnthropic({ apiKey: 'k', baseURL: 'http://bench/v1', fetch })('claude-opus-4-6'),
    options: async () => (await load('credentials/types/anthropic/provider-options.js')).anthropicModelOptions,
    first: [
      named('message_start', {
        message: {
          id: 'm',
          type: 'message',
          role: 'assistant',
          model: 'm',
          content: [],
          stop_reason: null,
          stop_sequence: null,
          usage: { input_tokens: 1, output_tokens: 1 },
        },
      }),
      named('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    ],
    delta: named('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'word ' } }),
    last: [
      named('content_block_stop', { index: 0 }),
      named('message_delta', { delta: { stop_reason: 'end_turn', stop_sequence: null }, usage: { output_tokens: 1 } }),
      named('message_stop', {}),
    ],
  },
};

const load = (path) => import(new URL(path, DIST).href);

/** Answers every call with one stream in the process, a frame at a time, as they come from a network that is no bottleneck. */
function scripted({ first, delta, last }) {
  const encoder = new TextEncoder();
  const [begin, each, end] = [first.join(''), delta, last.join('')].map((text) => encoder.encode(text));
  return async () => {
    let sent = 0;
    const body = new ReadableStream({
      pull(controller) {
        if (sent === 0) controller.enqueue(begin);
        if (sent < DELTAS) controller.enqueue(each);
        else {
          controller.enqueue(end);
          controller.close();
        }
        sent += 1;
      },
    });
    return new Response(body, { headers: { 'content-type': 'text/event-stream' } });
  };
}

const SPAN = { created_at: '2026-11-20T10:00:00.000Z', finished_at: '2026-11-20T10:00:00.000Z' };
const QUESTION = {
  id: 'u',
  name: 'u',
  role: 'user',
  content: [{ type: 'text', id: 't', text: 'hi', ...SPAN }],
  ...SPAN,
};

async function bare(model) {
  const prompt = [{ role: 'user', content: [{ type: 'text', text: 'hi' }] }];
  const { stream } = await model.doStream({ prompt });
  const reader = stream.getReader();
  let seen = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return seen;
    if (value.type === 'text-delta') seen += 1;
  }
}

async function ours(model) {
  const { signal } = new AbortController();
  const call = { system: '', messages: [QUESTION], tools: [], parameters: {}, signal };
  let seen = 0;
  for await (const part of model.stream(call)) if (part.type === 'text_delta') seen += 1;
  return seen;
}

/** Processor time, not time on the clock: other work on the machine does not count. */
async function microsecondsPerDelta(run) {
  globalThis.gc?.();
  const before = process.cpuUsage();
  const seen = await run();
  const { user, system } = process.cpuUsage(before);
  if (seen < DELTAS) throw new Error(`${seen} deltas of ${DELTAS}`);
  return (user + system) / DELTAS;
}

async function measure(provider) {
  const { AiSdkChatModel } = await load('models/ai-sdk/ai-sdk-model.js');
  const { MaskedModel } = await load('models/masked-model.js');
  const { GuardedModel } = await load('models/guarded-model.js');
  const { CircuitBreaker } = await load('models/circuit-breaker.js');
  const model = provider.model(scripted(provider));
  const optionsOf = await provider.options();
  const sdk = new AiSdkChatModel(model, optionsOf({ name: model.modelId, card: null }, provider.api));
  // As `ModelsService` makes it.
  const wrapped = new GuardedModel(new MaskedModel(sdk, ['k']), new CircuitBreaker(), 'some_credential');
  const runs = { bare: () => bare(model), ours: () => ours(wrapped) };
  const times = { bare: [], ours: [] };
  // The first round warms up; afterwards the one that comes first is not always the same.
  for (let round = 0; round <= ROUNDS; round += 1) {
    for (const name of round % 2 === 0 ? ['bare', 'ours'] : ['ours', 'bare']) {
      const time = await microsecondsPerDelta(runs[name]);
      if (round > 0) times[name].push(time);
    }
  }
  const overheads = times.ours.map((time, at) => time - times.bare[at]);
  return { bare: median(times.bare), ours: median(times.ours), overhead: median(overheads) };
}

/** Prints a table; exits with 1 when a path costs more than it may. */
export async function modelPath() {
  console.log(
    `CPU µs a delta, medians of ${ROUNDS} rounds of ${DELTAS} deltas; at most ${LIMIT_US} more than the package\n`,
  );
  console.log('| provider | doStream bare | our path | overhead |\n|---|--:|--:|--:|');
  for (const [name, provider] of Object.entries(PROVIDERS)) {
    const cost = await measure(provider);
    console.log(`| ${name} | ${cost.bare.toFixed(2)} | ${cost.ours.toFixed(2)} | ${cost.overhead.toFixed(2)} |`);
    if (cost.overhead > LIMIT_US) process.exitCode = 1;
  }
}
