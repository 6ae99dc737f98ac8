import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ask, callOf, fail, listen } from '../../../test/support/model-calls.js';
import { modelAt, type ProviderName } from '../../../test/support/provider-models.js';
import { begin, type Wire, WIRES } from '../../../test/support/provider-wires.js';
import { json, RecordingServer } from '../../../test/support/recording-server.js';
import type { ErrorType } from '../../core/messages/message.js';

/** How every provider's stream is read when it is well, and how it ends when it is not. */
const SHAPES: [ProviderName, Wire][] = [
  ['openai_chat', WIRES.chat],
  ['openai_responses', WIRES.responses],
  ['azure_openai', WIRES.responses],
  ['azure_openai_dated', WIRES.chat],
  ['anthropic', WIRES.anthropic],
  ['gemini', WIRES.gemini],
  ['dashscope', WIRES.chat],
  ['deepseek', WIRES.chat],
  ['moonshot', WIRES.chat],
  ['xai', WIRES.responses],
  ['ollama', WIRES.ollama],
  ['openai_compatible', WIRES.chat],
];

const ERRORS: [number, object, ErrorType, number | undefined][] = [
  [400, {}, 'invalid_request', undefined],
  [401, {}, 'authentication', undefined],
  [403, {}, 'permission', undefined],
  [404, {}, 'invalid_request', undefined],
  [429, { 'retry-after': '7' }, 'rate_limit', 7000],
  [429, { 'retry-after-ms': '120' }, 'rate_limit', 120],
  [500, {}, 'upstream', undefined],
  [503, { 'retry-after': '2' }, 'upstream', 2000],
  [529, {}, 'upstream', undefined],
];

let server: RecordingServer;
beforeAll(async () => {
  server = await RecordingServer.start(json(500, {}));
});
afterAll(() => server.stop());

describe.each(SHAPES)('%s', (provider, wire) => {
  it('streams to the end and counts each token once', async () => {
    server.answer = (response) => {
      begin(response, wire);
      response.end(wire.rest.join(''));
    };
    const said = await listen(modelAt(provider, server.url), callOf());
    const { input, output, cached, written, thought } = wire.usage;
    expect(said.text).toBe('Half done');
    expect(said.usage).toMatchObject({
      input_tokens: input,
      output_tokens: output,
      cache_input_tokens: cached,
      cache_creation_input_tokens: written,
      reasoning_tokens: thought,
    });
  });

  it.each(ERRORS)('answers %i %j as %s', async (status, headers, type, retry_after_ms) => {
    server.answer = json(status, { error: { message: 'what the provider said' } }, { ...headers });
    const before = server.requests.length;
    const { error, said } = await fail(modelAt(provider, server.url), callOf());
    expect([error.type, error.options.retry_after_ms, said.text]).toEqual([type, retry_after_ms, '']);
    expect(error.cause).toBeUndefined();
    // Whether to try again is for the caller to say.
    expect(server.requests.length).toBe(before + 1);
  });

  it('fails on an error within the stream', async () => {
    const begun = Promise.withResolvers<() => void>();
    server.answer = (response) => {
      begin(response, wire);
      begun.resolve(() => void response.end(wire.overloaded.join('')));
    };
    const { error, said } = await fail(interfering(provider, begun.promise), callOf());
    expect([error.type, error.retryable, said.text]).toEqual(['upstream', true, 'Half']);
  });

  it('fails on an error in place of the stream', async () => {
    server.answer = (response) => begin(response, wire, wire.overloaded) ?? response.end();
    const { error, said } = await fail(modelAt(provider, server.url), callOf());
    expect([error.type, said.text]).toEqual(['upstream', '']);
  });

  it('fails when the connection is lost', async () => {
    const begun = Promise.withResolvers<() => void>();
    server.answer = (response) => {
      begin(response, wire);
      begun.resolve(() => void response.destroy());
    };
    const { error, said } = await fail(interfering(provider, begun.promise), callOf());
    expect([error.type, said.text]).toEqual(['connection', 'Half']);
  });

  it('fails when the stream ends half-way as if all were well', async () => {
    server.answer = (response) => {
      begin(response, wire);
      response.end();
    };
    const { error, said } = await fail(modelAt(provider, server.url), callOf());
    // One package notices by itself, and does not say that the connection is to blame.
    const type = provider === 'openai_compatible' ? 'upstream' : 'connection';
    expect([error.type, error.retryable, said.text]).toEqual([type, true, 'Half']);
  });

  it('fails on what is no JSON', async () => {
    server.answer = (response) => {
      begin(response, wire);
      response.end(wire.contentType.includes('ndjson') ? '{oops\n' : 'data: {oops\n\n');
    };
    const { error } = await fail(modelAt(provider, server.url), callOf());
    expect(error.type).toBe('upstream');
  });

  it('fails when the server hangs up before it answers', async () => {
    server.answer = (response) => void response.destroy();
    const { error } = await fail(modelAt(provider, server.url), callOf());
    expect([error.type, error.retryable]).toEqual(['connection', true]);
  });

  it('fails when nobody is there', async () => {
    const gone = await RecordingServer.start(json(500, {}));
    const { url } = gone;
    await gone.stop();
    const { error } = await fail(modelAt(provider, url), callOf());
    expect([error.type, error.retryable]).toEqual(['connection', true]);
  });

  it('ends the request when the caller turns away', async () => {
    const closed = Promise.withResolvers<void>();
    server.answer = (response) => {
      response.once('close', () => closed.resolve());
      begin(response, wire);
    };
    for await (const part of modelAt(provider, server.url).stream(callOf())) if (part.type === 'text_delta') break;
    await closed.promise;
  });

  it.each(['before it answers', 'in mid-stream'])('ends within 100 ms of an abort %s', async (when) => {
    const arrived = Promise.withResolvers<void>();
    const closed = Promise.withResolvers<void>();
    server.answer = (response) => {
      response.once('close', () => closed.resolve());
      if (when === 'in mid-stream') begin(response, wire);
      arrived.resolve();
    };
    const controller = new AbortController();
    const reason = new Error('stopped');
    const parts = modelAt(provider, server.url)
      .stream(ask('x', { signal: controller.signal }))
      [Symbol.asyncIterator]();
    let pending = parts.next();
    if (when === 'in mid-stream') {
      for (let step = await pending; step.done !== true && step.value.type !== 'text_delta';) step = await parts.next();
      pending = parts.next();
    }
    await arrived.promise;
    // By the clock of the event loop: a process that was not run meanwhile is late with both.
    const late = new Promise((resolve) => setTimeout(resolve, 100, 'late'));
    controller.abort(reason);
    await expect(Promise.race([pending, late])).rejects.toBe(reason);
    await closed.promise;
  });
});

it('hears what a model says: its words as they come, its voice as a file', async () => {
  const spoken = (audio: object, finish_reason: string | null = null) =>
    `data: ${JSON.stringify({ id: 'c', created: 1, model: 'm', choices: [{ index: 0, delta: { audio }, finish_reason }] })}\n\n`;
  const pcm = [Buffer.from([1, 2, 3, 4]), Buffer.from([5, 6])];
  server.answer = (response) => {
    begin(response, WIRES.chat, [
      spoken({ id: 'audio_1', transcript: 'Good ' }),
      ...pcm.map((it) => spoken({ data: it.toString('base64') })),
      spoken({ transcript: 'day.' }),
      spoken({ expires_at: 1 }, 'stop'),
      'data: [DONE]\n\n',
    ]);
    response.end();
  };
  const parts = [];
  for await (const part of modelAt('openai_audio', server.url).stream(callOf())) parts.push(part);
  expect(parts.slice(0, 4).map((it) => [it.type, 'delta' in it ? it.delta : ''])).toEqual([
    ['text_start', ''],
    ['text_delta', 'Good '],
    ['text_delta', 'day.'],
    ['text_end', ''],
  ]);
  const [, , , , sound, end] = parts;
  expect([parts.length, end?.type]).toEqual([6, 'finish']);
  if (sound?.type !== 'data') throw new Error('no sound');
  const wav = Buffer.from(sound.data, 'base64');
  expect([sound.media_type, wav.toString('latin1', 0, 4), wav.readUInt32LE(24), wav.readUInt32LE(40)]).toEqual([
    'audio/wav',
    'RIFF',
    24_000,
    6,
  ]);
  expect(wav.subarray(44)).toEqual(Buffer.concat(pcm));
});

/** A model whose reader has the server do something once the first delta has arrived. */
function interfering(provider: ProviderName, begun: Promise<() => void>): ReturnType<typeof modelAt> {
  const model = modelAt(provider, server.url);
  return {
    ...model,
    async *stream(call) {
      for await (const part of model.stream(call)) {
        yield part;
        if (part.type === 'text_delta') (await begun)();
      }
    },
  };
}
