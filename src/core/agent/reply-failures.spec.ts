import { describe, expect, it, jest } from '@jest/globals';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { describeError, ModelError, type ChatModel } from '../models/chat-model.js';
import { collect, outline, request } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from '../testing/scripted-model.js';
import { MODEL_FAILED_TEXT } from './closing.js';
import type { ReplyRequest } from './reply-request.js';

const failure = (...[type, retry_after_ms]: [ModelError['type'], number?]) =>
  new ModelError(type, 'secret detail', { retry_after_ms });

async function run(req: ReplyRequest, onEvent?: Parameters<typeof collect>[1]) {
  const events = await collect(req, onEvent);
  checkGrammar(events, { complete: true });
  expect(reduce(events)).toEqual([req.reply.msg]);
  expect(JSON.stringify(events)).not.toContain('secret');
  return outline(events);
}

describe('retry and fallback', () => {
  it('retries with exponential back-off, each attempt a model call', async () => {
    const sleep = jest.fn(() => Promise.resolve());
    const onModelError = jest.fn();
    const model = new ScriptedModel([[failure('upstream')], [failure('connection')], [...text('Hi'), finish()]]);
    const lines = await run(request(model, { sleep, onModelError }));
    expect(sleep.mock.calls.map(([ms]: unknown[]) => ms)).toEqual([125, 250]);
    expect(onModelError.mock.calls.map(([, attempt, will]) => [attempt, will])).toEqual([
      [1, 'retry'],
      [2, 'retry'],
    ]);
    expect(lines.filter((line) => line.startsWith('MODEL_CALL'))).toEqual([
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END interrupted upstream',
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END interrupted connection',
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END completed',
    ]);
    expect(lines.at(-1)).toBe('REPLY_END completed');
  });

  it('says of every attempt which one of which model it is', async () => {
    const model = new ScriptedModel([[failure('upstream')], [failure('permission')]], 'first');
    const second = new ScriptedModel([[...text('Hi'), finish(3, 2)]], 'second');
    const events = await collect(request(model, { fallback: { model: second, parameters: {} } }));
    const said = events.flatMap((event) => {
      if (event.type !== 'MODEL_CALL_START' && event.type !== 'MODEL_CALL_END') return [];
      const { model_name, provider, attempt, is_fallback } = event;
      return [[model_name, provider, attempt, is_fallback]];
    });
    const calls = [
      ['first', 'scripted', 1, false],
      ['first', 'scripted', 2, false],
      ['second', 'scripted', 1, true],
    ];
    expect(said).toEqual(calls.flatMap((call) => [call, call]));
    expect(events.findLast((event) => event.type === 'MODEL_CALL_END')).toMatchObject({
      input_tokens: 3,
      output_tokens: 2,
    });
  });

  it.each([
    [0, 7_000],
    [0.5, 7_350],
  ])('waits as long as it is advised, and a little more by chance %d', async (chance, waited) => {
    const sleep = jest.fn(() => Promise.resolve());
    const model = new ScriptedModel([[failure('rate_limit', 7_000)], [...text('Hi'), finish()]]);
    await run(request(model, { sleep, random: () => chance }));
    expect(sleep.mock.calls).toEqual([[waited, expect.any(AbortSignal)]]);
  });

  it('does not begin to wait for longer than a turn may', async () => {
    const sleep = jest.fn(() => Promise.resolve());
    const model = new ScriptedModel([[failure('rate_limit', 60_001)]]);
    expect((await run(request(model, { sleep }))).at(-1)).toBe('REPLY_END error rate_limit');
    expect(sleep).not.toHaveBeenCalled();
  });

  it('bounds the waiting of a turn over all attempts and both models', async () => {
    const sleep = jest.fn(() => Promise.resolve());
    const limited = failure('rate_limit', 40);
    const model = new ScriptedModel([[limited], [limited], [limited]], 'first');
    const second = new ScriptedModel([[failure('rate_limit', 20)], [failure('rate_limit', 1)]], 'second');
    const fallback = { model: second, parameters: {} };
    const lines = await run(request(model, { sleep, fallback, max_retries: 9, max_retry_wait_ms: 100 }));
    expect(sleep.mock.calls.map(([ms]: unknown[]) => ms)).toEqual([40, 40, 20]);
    expect(lines.at(-1)).toBe('REPLY_END error rate_limit');
  });

  it('gives the next turn the whole patience again', async () => {
    const sleep = jest.fn(() => Promise.resolve());
    const limited = failure('rate_limit', 40);
    const model = new ScriptedModel([
      [limited],
      [...toolCall('c', 'x'), finish()],
      [limited],
      [...text('Hi'), finish()],
    ]);
    expect((await run(request(model, { sleep, max_retry_wait_ms: 50 }))).at(-1)).toBe('REPLY_END completed');
    expect(sleep).toHaveBeenCalledTimes(2);
  });

  it('takes each retry from the budget of its model, and tells it of answers', async () => {
    const budgetOf = (retries: number) => ({ take: jest.fn(() => (retries -= 1) >= 0), success: jest.fn() });
    const [one, two] = [budgetOf(1), budgetOf(5)];
    const model = new ScriptedModel([[failure('upstream')], [failure('upstream')]], 'first');
    const second = new ScriptedModel([[failure('upstream')], [...text('Hi'), finish()]], 'second');
    const onModelError = jest.fn();
    const req = request(model, {
      model: { model, parameters: {}, retryBudget: one },
      fallback: { model: second, parameters: {}, retryBudget: two },
      max_retries: 5,
      onModelError,
    });
    expect((await run(req)).at(-1)).toBe('REPLY_END completed');
    expect(onModelError.mock.calls.map(([, , will]) => will)).toEqual(['retry', 'fallback', 'retry']);
    expect([one, two].map(({ take, success }) => [take.mock.calls.length, success.mock.calls.length])).toEqual([
      [2, 0],
      [1, 1],
    ]);
  });

  it.each<[string, ModelError, number]>([
    ['what cannot succeed', failure('authentication'), 2],
    ['what is advised to wait for too long', failure('upstream', 1e9), 2],
    ['the last attempt', failure('upstream'), 0],
  ])('takes nothing from the budget for %s', async (_, error, max_retries) => {
    const retryBudget = { take: jest.fn(() => true), success: jest.fn() };
    const model = new ScriptedModel([[error]]);
    await run(request(model, { model: { model, parameters: {}, retryBudget }, max_retries }));
    expect(retryBudget.take).not.toHaveBeenCalled();
  });

  it('believes an error that says whether to try again', async () => {
    const once = new ScriptedModel([[new ModelError('upstream', 'secret', { retryable: false })]]);
    expect((await run(request(once))).at(-1)).toBe('REPLY_END error upstream');
    const twice = new ScriptedModel([
      [new ModelError('unknown', 'secret', { retryable: true })],
      [...text('Hi'), finish()],
    ]);
    expect((await run(request(twice))).at(-1)).toBe('REPLY_END completed');
  });

  it('gives up after max_retries', async () => {
    const model = new ScriptedModel([[failure('upstream')], [failure('upstream')], [...text('Hi'), finish()]]);
    const req = request(model, { max_retries: 1 });
    expect((await run(req)).slice(1)).toEqual([
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END interrupted upstream',
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END interrupted upstream',
      'REPLY_END error upstream',
    ]);
    expect(model.calls).toHaveLength(2);
    expect(req.reply.msg.error).toEqual(describeError('upstream'));
  });

  it('does not retry what cannot succeed later', async () => {
    const model = new ScriptedModel([[failure('authentication')]]);
    expect((await run(request(model))).at(-1)).toBe('REPLY_END error authentication');
    expect(model.calls).toHaveLength(1);
  });

  it('turns to the fallback, which has its own retries', async () => {
    const model = new ScriptedModel([[failure('invalid_request')]], 'first');
    const second = new ScriptedModel([[failure('upstream')], [...text('Hi'), finish()]], 'second');
    const onModelError = jest.fn();
    const fallback = { model: second, parameters: { temperature: 0 } };
    const lines = await run(request(model, { fallback, onModelError }));
    expect(lines.filter((line) => line.startsWith('MODEL_CALL'))).toEqual([
      'MODEL_CALL_START first',
      'MODEL_CALL_END interrupted invalid_request',
      'MODEL_CALL_START second',
      'MODEL_CALL_END interrupted upstream',
      'MODEL_CALL_START second',
      'MODEL_CALL_END completed',
    ]);
    expect(onModelError.mock.calls.map(([, , will]) => will)).toEqual(['fallback', 'retry']);
    expect(second.calls[1]?.parameters).toEqual({ temperature: 0 });
  });

  it('neither retries nor falls back in mid-stream, and answers the calls already made', async () => {
    const model = new ScriptedModel([
      [
        ...toolCall('c', 'x'),
        { type: 'text_start', id: 't' },
        { type: 'text_delta', id: 't', delta: 'Ha' },
        failure('upstream'),
      ],
    ]);
    const spare = new ScriptedModel([[...text('Hi'), finish()]]);
    const req = request(model, { fallback: { model: spare, parameters: {} } });
    expect((await run(req)).slice(-7)).toEqual([
      'TEXT_BLOCK_DELTA "Ha"',
      'TEXT_BLOCK_END',
      'MODEL_CALL_END interrupted upstream',
      'TOOL_RESULT_START c',
      `TOOL_RESULT_TEXT_DELTA c ${JSON.stringify(MODEL_FAILED_TEXT)}`,
      'TOOL_RESULT_END c error',
      'REPLY_END error upstream',
    ]);
    expect(spare.calls).toHaveLength(0);
  });

  it.each([
    ['ends without a finish', [...text('Hi')]],
    ['ends without a part', []],
  ])('fails when the stream %s', async (_, script: ScriptStep[]) => {
    const lines = await run(request(new ScriptedModel([script]), { max_retries: 0 }));
    expect(lines.at(-1)).toBe('REPLY_END error upstream');
  });

  it.each([
    ['before the first part', [new TypeError('secret')]],
    ['in mid-stream', [...text('Hi'), new TypeError('secret')]],
  ])('hides an unexpected exception %s', async (_, script: ScriptStep[]) => {
    const onError = jest.fn(() => {
      throw new Error('the logger is broken');
    });
    const lines = await run(request(new ScriptedModel([script]), { onError }));
    expect(lines.at(-1)).toBe('REPLY_END error internal');
    expect(onError.mock.calls).toEqual([[expect.any(TypeError)]]);
  });

  it('hides a model that throws before it streams', async () => {
    const model: ChatModel = {
      provider: 'x',
      name: 'x',
      stream() {
        throw new TypeError('secret');
      },
    };
    expect((await run(request(model))).slice(-2)).toEqual([
      'MODEL_CALL_END interrupted internal',
      'REPLY_END error internal',
    ]);
  });
});
