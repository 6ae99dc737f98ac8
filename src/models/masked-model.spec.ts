import { expect, it } from '@jest/globals';
import { ModelError, type ModelCall, type ModelPart } from '../core/models/chat-model.js';
import { MaskedModel } from './masked-model.js';

const call: ModelCall = { system: '', messages: [], tools: [], parameters: {}, signal: new AbortController().signal };

function failing(error: unknown) {
  async function* stream(): AsyncGenerator<ModelPart> {
    yield { type: 'text_start', id: 't' };
    throw error;
  }
  return new MaskedModel({ provider: 'p', name: 'm', stream }, ['sk-canary', '', undefined]);
}

async function errorOf(model: MaskedModel): Promise<unknown> {
  try {
    for await (const part of model.stream(call)) expect(part.type).toBe('text_start');
  } catch (error) {
    return error;
  }
  throw new Error('the stream did not fail');
}

it('takes the secret out of what a server says, and keeps the class', async () => {
  const original = new ModelError('authentication', 'Incorrect API key: sk-canary', {
    retry_after_ms: 5,
    retryable: true,
    cause: 'sk-canary',
  });
  const error = (await errorOf(failing(original))) as ModelError;
  expect(error).toMatchObject({ type: 'authentication', message: 'Incorrect API key: [redacted]' });
  expect([error.cause, error.options.retry_after_ms, error.retryable]).toEqual([undefined, 5, true]);
});

it('passes every other error on as it is', async () => {
  for (const error of [new ModelError('upstream', 'broken'), new Error('sk-canary')]) {
    expect(await errorOf(failing(error))).toBe(error);
  }
});
