import { describe, expect, it, jest } from '@jest/globals';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { ModelError, type ChatModel } from '../models/chat-model.js';
import { collect, outline, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from '../testing/scripted-model.js';
import { INTERRUPTED_TEXT } from './closing.js';
import type { ReplyRequest } from './reply-request.js';
import { runReply } from './reply.js';

const failure = (...[type, retry_after_ms]: [ModelError['type'], number?]) =>
  new ModelError(type, 'secret detail', { retry_after_ms });

async function run(req: ReplyRequest, onEvent?: Parameters<typeof collect>[1]) {
  const events = await collect(req, onEvent);
  checkGrammar(events, { complete: true });
  expect(reduce(events)).toEqual([req.reply.msg]);
  expect(JSON.stringify(events)).not.toContain('secret');
  return outline(events);
}

describe('an abort', () => {
  const interrupted = 'REPLY_END interrupted';
  const stuck = tool('stuck', async function* () {
    yield { type: 'text', text: 'begun' };
    await new Promise<never>(() => undefined);
  });
  const safe = { ...stuck, name: 'safe', is_concurrency_safe: true };

  it('before the start calls no model', async () => {
    const model = new ScriptedModel([]);
    expect(await run(request(model, { signal: AbortSignal.abort() }))).toEqual(['REPLY_START', interrupted]);
    expect(model.calls).toHaveLength(0);
  });

  it('ends a model call that never listens', async () => {
    const stop = new AbortController();
    const model = new ScriptedModel([
      [{ type: 'text_start', id: '0' }, () => void setImmediate(() => stop.abort()), 'hang'],
    ]);
    expect((await run(request(model, { signal: stop.signal }))).slice(-3)).toEqual([
      'TEXT_BLOCK_END',
      'MODEL_CALL_END interrupted',
      interrupted,
    ]);
    expect(model.calls[0]?.signal.aborted).toBe(true);
  });

  it('ends a model call before its first part', async () => {
    const stop = new AbortController();
    const model = new ScriptedModel([[() => void setImmediate(() => stop.abort()), 'hang']]);
    expect((await run(request(model, { signal: stop.signal }))).at(-1)).toBe(interrupted);
  });

  it('is not taken for the error that a listening model throws', async () => {
    const stop = new AbortController();
    const onModelError = jest.fn();
    const onError = jest.fn();
    const script: ScriptStep[] = [...text('Hi'), () => stop.abort(), failure('connection')];
    const req = request(new ScriptedModel([script]), { signal: stop.signal, onModelError, onError });
    expect((await run(req)).at(-1)).toBe(interrupted);
    expect(onModelError).not.toHaveBeenCalled();
    expect(onError).not.toHaveBeenCalled();
  });

  it('ends the wait between two attempts at once', async () => {
    const stop = new AbortController();
    const sleep = () => {
      setImmediate(() => stop.abort());
      return new Promise<never>(() => undefined);
    };
    const model = new ScriptedModel([[failure('upstream')]]);
    expect((await run(request(model, { signal: stop.signal, sleep }))).slice(-2)).toEqual([
      'MODEL_CALL_END interrupted upstream',
      interrupted,
    ]);
    expect(model.calls).toHaveLength(1);
  });

  it('ends the default wait at once', async () => {
    const stop = new AbortController();
    const onModelError = () => void setImmediate(() => stop.abort());
    const model = new ScriptedModel([[failure('rate_limit', 30_000)]]);
    const lines = await run(request(model, { signal: stop.signal, sleep: undefined, onModelError }));
    expect(lines.at(-1)).toBe(interrupted);
  });

  it.each([
    ['a tool alone', [...toolCall('a', 'stuck'), ...toolCall('b', 'stuck')], ['TOOL_RESULT_START b']],
    ['tools together', [...toolCall('a', 'safe'), ...toolCall('b', 'safe')], []],
  ])('ends %s that never listens', async (_, calls, starts) => {
    const stop = new AbortController();
    const model = new ScriptedModel([[...calls, finish()]]);
    const lines = await run(request(model, { signal: stop.signal, tools: [stuck, safe] }), (event) => {
      if (event.type === 'TOOL_RESULT_TEXT_DELTA') setImmediate(() => stop.abort());
    });
    const text = JSON.stringify(INTERRUPTED_TEXT);
    expect(lines.slice(lines.indexOf(`TOOL_RESULT_TEXT_DELTA a ${text}`))).toEqual([
      `TOOL_RESULT_TEXT_DELTA a ${text}`,
      'TOOL_RESULT_END a interrupted',
      ...starts,
      `TOOL_RESULT_TEXT_DELTA b ${text}`,
      'TOOL_RESULT_END b interrupted',
      interrupted,
    ]);
  });

  it('leaves no rejection unhandled', async () => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    const stop = new AbortController();
    let fail: (error: Error) => void = () => undefined;
    const late: ChatModel = {
      provider: 'x',
      name: 'x',
      stream: () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise<never>((_, reject) => (fail = reject)),
          return: () => Promise.reject(new Error('late')),
        }),
      }),
    };
    setImmediate(() => stop.abort());
    expect((await run(request(late, { signal: stop.signal }))).at(-1)).toBe(interrupted);
    fail(new Error('later still'));
    await new Promise((resolve) => setImmediate(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
  });
});

describe('a consumer that leaves', () => {
  it('lets go of the model and tells it', async () => {
    let released = false;
    const model: ChatModel = {
      provider: 'x',
      name: 'x',
      async *stream() {
        try {
          yield* text('Hi');
        } finally {
          released = true;
        }
      },
    };
    const spied = jest.spyOn(model, 'stream');
    for await (const event of runReply(request(model))) if (event.type === 'TEXT_BLOCK_DELTA') break;
    expect(released).toBe(true);
    expect(spied.mock.calls[0]?.[0].signal.aborted).toBe(true);
  });

  it('lets go of the tools that run', async () => {
    const released: string[] = [];
    const endless = tool(
      'endless',
      async function* (_, { tool_call_id }) {
        try {
          for (;;) yield { type: 'text', text: 'x' };
        } finally {
          released.push(tool_call_id);
        }
      },
      { is_concurrency_safe: true },
    );
    const model = new ScriptedModel([[...toolCall('a', 'endless'), ...toolCall('b', 'endless'), finish()]]);
    for await (const event of runReply(request(model, { tools: [endless] }))) {
      if (event.type === 'TOOL_RESULT_TEXT_DELTA') break;
    }
    await new Promise((resolve) => setImmediate(resolve));
    expect(released.sort()).toEqual(['a', 'b']);
  });
});
