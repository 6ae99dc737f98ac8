import type { LanguageModelV4, LanguageModelV4CallOptions, LanguageModelV4StreamPart } from '@ai-sdk/provider';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { callOf } from '../../../test/support/model-calls.js';
import { AiSdkChatModel } from './ai-sdk-model.js';

const TIMEOUTS = { first_output_ms: 1000, idle_ms: 100 };
const SILENCE = { name: 'ModelError', type: 'connection', retryable: true };

interface Fake {
  model: AiSdkChatModel;
  seen: LanguageModelV4CallOptions[];
  cancelled: Promise<unknown>;
}

/** A provider that says so much and no more; without parts, it does not even begin to answer. */
function fake(...parts: LanguageModelV4StreamPart[]): Fake {
  const seen: LanguageModelV4CallOptions[] = [];
  const { promise: cancelled, resolve: cancel } = Promise.withResolvers<unknown>();
  const start = (controller: ReadableStreamDefaultController<LanguageModelV4StreamPart>): void => {
    for (const part of parts) controller.enqueue(part);
  };
  const model: LanguageModelV4 = {
    specificationVersion: 'v4',
    provider: 'fake',
    modelId: 'm',
    supportedUrls: {},
    doGenerate: () => Promise.reject(new Error('not used')),
    doStream: (options) => {
      seen.push(options);
      return parts.length === 0
        ? new Promise(() => undefined)
        : Promise.resolve({ stream: new ReadableStream({ start, cancel }) });
    },
  };
  const made = new AiSdkChatModel(model, {
    namespace: 'p',
    mapParameters: () => ({ settings: {}, provider: {} }),
    media: { input_types: null, carries: [] },
    thinking: 'signed',
    timeouts: TIMEOUTS,
  });
  return { model: made, seen, cancelled };
}

describe('AiSdkChatModel and a silent provider', () => {
  beforeEach(() => void jest.useFakeTimers());
  afterEach(() => void jest.useRealTimers());

  /** Fails if it fails before the time, too. */
  async function failsAfter(ms: number, pending: Promise<unknown>): Promise<void> {
    let failed = false;
    pending.catch(() => (failed = true));
    await jest.advanceTimersByTimeAsync(ms - 1);
    expect(failed).toBe(false);
    await jest.advanceTimersByTimeAsync(1);
    await expect(pending).rejects.toMatchObject(SILENCE);
  }

  it('gives up when it never answers', async () => {
    await failsAfter(1000, fake().model.stream(callOf()).next());
  });

  it('gives up when the model shows nothing, though the provider has answered', async () => {
    const provider = fake({ type: 'stream-start', warnings: [] }, { type: 'text-start', id: '0' });
    await failsAfter(1000, provider.model.stream(callOf()).next());
    expect(provider.seen[0]?.abortSignal?.aborted).toBe(true);
    await provider.cancelled;
  });

  it('gives up when the stream falls silent, and counts no time in which nobody reads', async () => {
    const provider = fake(
      { type: 'text-start', id: '0' },
      { type: 'text-delta', id: '0', delta: 'a' },
      { type: 'text-delta', id: '0', delta: 'b' },
    );
    const parts = provider.model.stream(callOf());
    expect((await parts.next()).value).toMatchObject({ type: 'text_start' });
    await jest.advanceTimersByTimeAsync(5000);
    expect((await parts.next()).value).toMatchObject({ delta: 'a' });
    expect((await parts.next()).value).toMatchObject({ delta: 'b' });
    await failsAfter(100, parts.next());
    await provider.cancelled;
  });

  it('leaves no timer behind', async () => {
    const parts = fake({ type: 'text-start', id: '0' }, { type: 'text-delta', id: '0', delta: 'a' }).model.stream(
      callOf(),
    );
    await parts.next();
    expect(jest.getTimerCount()).toBe(1);
    await parts.return();
    expect(jest.getTimerCount()).toBe(0);
  });
});
