import { describe, expect, it, jest } from '@jest/globals';
import type { AgentMiddleware, Compression } from '../agent/middleware.js';
import { HandedOver, Interrupted } from '../agent/reply-context.js';
import type { ReplyRequest } from '../agent/reply-request.js';
import { ModelError } from '../models/chat-model.js';
import { AgentState, EMPTY_STATE } from '../state/session-state.js';
import { answer, setUp } from '../testing/compression.js';
import { finish, ScriptedModel, text } from '../testing/scripted-model.js';
import { OffloadRefused } from './offload-store.js';

describe('when a summary fails', () => {
  const broken = [new ModelError('upstream', 'x')];

  it('leaves out the oldest quarter each time, three times, and then only says so', async () => {
    const { run, state, promptOf, model, view } = setUp([broken, broken, broken, [...text(' '), finish()]]);
    expect(await run()).toEqual([
      ...Array.from({ length: 3 }, () => ['MODEL_CALL_START scripted', 'MODEL_CALL_END interrupted upstream']).flat(),
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END completed',
      'CUSTOM',
    ]);
    expect(model.calls).toHaveLength(4);
    const sizes = [0, 1, 2, 3].map((call) => promptOf(call).length);
    expect(sizes).toEqual([...sizes].sort((one, other) => other - one));
    expect(promptOf(1)).not.toContain('first');
    expect(state.value.window_context.summary).toContain('no summary of them could be made');
    expect(view().map(({ id }) => id)).toEqual(['context-summary-1', 'r2', 'u3']);
  });

  it('keeps what was known before', async () => {
    const state = new AgentState();
    state.update('window_context', { summary: 'Known.', from: null, compressions: 1, offloads: 0 });
    const { run } = setUp([broken, broken, broken, broken], { rest: { state } });
    await run();
    expect(state.value.window_context.summary).toContain('could be made.\n\nKnown.');
  });

  it('tries the fallback with the same, and waits before the next round', async () => {
    const spare = new ScriptedModel([broken, answer()], 'spare');
    const sleep = jest.fn<NonNullable<ReplyRequest['sleep']>>(() => Promise.resolve());
    const onModelError = jest.fn();
    const limited = [new ModelError('rate_limit', 'x', { retry_after_ms: 3000 })];
    const { run, state, promptOf } = setUp([limited, broken], {
      rest: { fallback: { model: spare, parameters: {} }, sleep, onModelError },
    });
    expect((await run()).filter((line) => line.startsWith('MODEL_CALL_START'))).toEqual(
      ['scripted', 'spare', 'scripted', 'spare'].map((name) => `MODEL_CALL_START ${name}`),
    );
    expect(promptOf(0, spare)).toBe(promptOf(0));
    expect(sleep).toHaveBeenCalledWith(3000, expect.anything());
    expect(onModelError.mock.calls.map(([, attempt, will]) => [attempt, will])).toEqual([
      [1, 'fallback'],
      [1, 'retry'],
      [2, 'fallback'],
    ]);
    expect(state.value.window_context.summary).toContain('next_steps told');
  });

  it('does not call a model again that refuses the credential', async () => {
    const { run, model, state } = setUp([[new ModelError('authentication', 'x')]]);
    await run();
    expect(model.calls).toHaveLength(1);
    expect(state.value.window_context.compressions).toBe(1);
  });

  it('respects the budget of retries', async () => {
    const model = new ScriptedModel([broken]);
    const retryBudget = { take: () => false, success: jest.fn() };
    const { run } = setUp([], { rest: { model: { model, parameters: {}, retryBudget } } });
    await run();
    expect(model.calls).toHaveLength(1);
  });

  it.each([
    ['full', new OffloadRefused('no room'), 0],
    ['broken', new Error('down'), 1],
  ])('goes on when the offload store is %s', async (_, refusal, reported) => {
    const onError = jest.fn();
    const { run, state, offload } = setUp([answer()], { rest: { onError } });
    offload.refusal = refusal;
    await run();
    expect(state.value.window_context).toMatchObject({ compressions: 1, offloads: 0 });
    expect(state.value.window_context.summary).not.toContain('read_offloaded');
    expect(onError).toHaveBeenCalledTimes(reported);
  });

  it('is stopped and handed over like a model turn, and leaves the state as it was', async () => {
    const [stop, leave] = [new AbortController(), new AbortController()];
    const stopped = setUp([[() => stop.abort(), 'hang']], { rest: { signal: stop.signal } });
    await expect(stopped.run()).rejects.toThrow(Interrupted);
    const left = setUp([[() => leave.abort(), 'hang']], { rest: { handover: leave.signal } });
    await expect(left.run()).rejects.toThrow(HandedOver);
    for (const { state, ctx } of [stopped, left]) {
      expect(state.value).toBe(EMPTY_STATE);
      expect(ctx.modelCall).not.toBeNull();
    }
  });

  it('fails the reply when the model throws what no model should', async () => {
    const { run } = setUp([[new TypeError('bug')]]);
    await expect(run()).rejects.toThrow('bug');
  });
});

describe('onCompressContext', () => {
  const hooked = (hook: NonNullable<AgentMiddleware['onCompressContext']>): Partial<ReplyRequest> => ({
    middleware: [{ name: 'test', onCompressContext: hook }],
  });

  it('may wrap the summary that is made inside of it', async () => {
    const rest = hooked(async (_, next) => {
      const made = await next();
      return made && { ...made, summary: `Wrapped: ${made.summary}` };
    });
    const { run, state } = setUp([answer()], { rest });
    expect(await run()).toEqual(['MODEL_CALL_START scripted', 'MODEL_CALL_END completed', 'CUSTOM']);
    expect(state.value.window_context.summary).toMatch(/^Wrapped: <system-reminder>/);
  });

  it('may replace it, ask twice, or leave the conversation as it is', async () => {
    const own: Compression = { summary: 'Mine.', from: { message_id: 'u3', block: 0 } };
    const replaced = setUp([], { rest: hooked(() => Promise.resolve(own)) });
    expect(await replaced.run()).toEqual(['CUSTOM']);
    expect(replaced.view().map(({ id }) => id)).toEqual(['context-summary-1', 'u3']);
    const twice = setUp([answer(() => 'one'), answer(() => 'two')], {
      rest: hooked(async (_, next) => (await next()) && next()),
    });
    await twice.run();
    expect(twice.state.value.window_context.summary).toContain('two');
    const none = setUp([], { rest: hooked(() => Promise.resolve(null)) });
    expect(await none.run()).toEqual([]);
    expect(none.state.value).toBe(EMPTY_STATE);
  });

  it('fails the reply with what it throws, and with a cut that splits a turn', async () => {
    const throwing = setUp([], { rest: hooked(() => Promise.reject(new Error('bug'))) });
    await expect(throwing.run()).rejects.toThrow('bug');
    const from = { message_id: 'r1', block: 1 };
    const splitting = setUp([], { rest: hooked(() => Promise.resolve({ summary: 'x', from })) });
    await expect(splitting.run()).rejects.toThrow('cannot be cut');
    expect(splitting.state.value).toBe(EMPTY_STATE);
  });

  it('is left when the reply is stopped, wherever it is', async () => {
    const [first, second] = [new AbortController(), new AbortController()];
    const waiting = setUp([], {
      rest: { ...hooked(() => (first.abort(), new Promise<null>(() => undefined))), signal: first.signal },
    });
    await expect(waiting.run()).rejects.toThrow(Interrupted);
    const failed = jest.fn();
    const inside = setUp([[() => second.abort(), 'hang']], {
      rest: { ...hooked((_, next) => next().catch((error: unknown) => (failed(error), null))), signal: second.signal },
    });
    await expect(inside.run()).rejects.toThrow(Interrupted);
    expect(failed).toHaveBeenCalledWith(expect.any(Interrupted));
  });
});
