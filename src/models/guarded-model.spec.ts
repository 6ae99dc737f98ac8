import { describe, expect, it, jest } from '@jest/globals';
import { type ChatModel, type ModelCall, ModelError, type ModelPart } from '../core/models/chat-model.js';
import { finish, ScriptedModel, type ScriptStep, text } from '../core/testing/scripted-model.js';
import { CircuitBreaker } from './circuit-breaker.js';
import { GuardedModel } from './guarded-model.js';

const upstream = new ModelError('upstream', 'broken');
const callWith = (signal = new AbortController().signal): ModelCall => ({
  system: '',
  messages: [],
  tools: [],
  parameters: {},
  signal,
});

/** A model over one script, with a breaker that only notes what it is told. */
function guarded(...script: ScriptStep[]) {
  const told: string[] = [];
  const breaker = new CircuitBreaker();
  jest.spyOn(breaker, 'admit').mockImplementation(() => ({
    answered: () => void told.push('answered'),
    succeeded: () => void told.push('succeeded'),
    failed: ({ type }) => void told.push(type),
    released: () => void told.push('released'),
  }));
  return { model: new GuardedModel(new ScriptedModel([script]), breaker, 'some_credential'), told };
}

async function collect(model: ChatModel, call = callWith()): Promise<ModelPart[]> {
  const parts: ModelPart[] = [];
  for await (const part of model.stream(call)) parts.push(part);
  return parts;
}

describe('a guarded model', () => {
  it('passes everything on and tells that it answered and succeeded', async () => {
    const { model, told } = guarded(...text('Hi'), finish());
    expect(await collect(model)).toEqual([...text('Hi'), finish()]);
    expect([told[0], told[3], model.name]).toEqual(['answered', 'succeeded', 'scripted']);
  });

  it('tells a failure, also in mid-stream, and throws it', async () => {
    for (const script of [[upstream], [...text('Hi'), upstream]]) {
      const { model, told } = guarded(...script);
      await expect(collect(model)).rejects.toBe(upstream);
      expect(told.at(-1)).toBe('upstream');
    }
  });

  it('takes a stream without a finish for a failure', async () => {
    const { model, told } = guarded(...text('Hi'));
    await collect(model);
    expect(told.at(-1)).toBe('upstream');
  });

  it('says nothing of the provider when it is left, stopped or broken itself', async () => {
    const left = guarded(...text('Hi'), finish());
    for await (const part of left.model.stream(callWith())) {
      expect(part.type).toBe('text_start');
      break;
    }
    expect(left.told).toEqual(['answered', 'released']);
    const stop = new AbortController();
    const stopped = guarded(() => stop.abort(), upstream);
    await expect(collect(stopped.model, callWith(stop.signal))).rejects.toBe(upstream);
    expect(stopped.told).toEqual(['released']);
    const broken = guarded(new TypeError('x'));
    await expect(collect(broken.model)).rejects.toBeInstanceOf(TypeError);
    expect(broken.told).toEqual(['released']);
  });

  it('is not called while its circuit is open, and called again afterwards', async () => {
    let time = 0;
    const inner = new ScriptedModel([...Array<ScriptStep[]>(5).fill([upstream]), [...text('Hi'), finish()]]);
    const model = new GuardedModel(inner, new CircuitBreaker({ now: () => time }), 'some_credential');
    for (let n = 0; n < 5; n += 1) await expect(collect(model)).rejects.toBe(upstream);
    await expect(collect(model)).rejects.toMatchObject({ type: 'upstream', retryable: false });
    expect(inner.calls).toHaveLength(5);
    time = 5001;
    expect(await collect(model)).toHaveLength(4);
    expect(inner.calls).toHaveLength(6);
  });

  it('calls nothing before the first part is asked for, and nothing after it was left', async () => {
    const { model, told } = guarded(finish());
    const iterator = model.stream(callWith())[Symbol.asyncIterator]();
    expect(told).toEqual([]);
    await iterator.return?.();
    expect(await iterator.next()).toEqual({ done: true, value: undefined });
    expect(told).toEqual([]);
  });
});
