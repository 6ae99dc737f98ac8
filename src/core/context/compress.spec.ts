import { describe, expect, it, jest } from '@jest/globals';
import { closeReply } from '../agent/closing.js';
import type { AgentMiddleware, Compression } from '../agent/middleware.js';
import { HandedOver, Interrupted, ReplyContext } from '../agent/reply-context.js';
import type { ReplyRequest } from '../agent/reply-request.js';
import { AgentEvent, CUSTOM_EVENTS } from '../events/agent-event.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { ReplyReducer } from '../events/reply-reducer.js';
import type { Msg } from '../messages/message.js';
import { ModelError } from '../models/chat-model.js';
import { AgentState, EMPTY_STATE } from '../state/session-state.js';
import {
  atWork,
  image,
  MemoryOffloads,
  pair,
  reply,
  textBlock,
  WordTokenizer,
  words,
} from '../testing/conversations.js';
import { userMessage } from '../testing/event-builders.js';
import { outline, request } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from '../testing/scripted-model.js';
import { fitContext } from './compress.js';
import { ContextWindow, type WindowOptions } from './context-window.js';
import { OffloadRefused } from './offload-store.js';
import { TokenCounter } from './token-counter.js';

const FIELDS = ['task_overview', 'current_state', 'important_discoveries', 'next_steps', 'context_to_preserve'];
const answer = (of: (field: string) => unknown = (field) => `${field} told`): ScriptStep[] => [
  ...toolCall('s', 'save_summary', Object.fromEntries(FIELDS.map((field) => [field, of(field)]))),
  finish(50, 5),
];

const HISTORY: Msg[] = [
  userMessage('u1', `first ${words(2000)}`),
  reply('r1', [...pair('a', words(1500)), textBlock('t1', 'second')]),
  userMessage('u2', `third ${words(1000)}`),
  reply('r2', [textBlock('t2', 'fourth')]),
  userMessage('u3', 'now this'),
];

interface Setting {
  readonly model?: ScriptedModel;
  readonly window?: Partial<WindowOptions>;
  readonly own?: Msg;
  readonly rest?: Partial<ReplyRequest>;
}

/** A reply before a model turn, with a window that its history does not fit into. */
function setUp(scripts: readonly (readonly ScriptStep[])[], { window: of, own, rest }: Setting = {}) {
  const model = new ScriptedModel(scripts);
  const offload = new MemoryOffloads();
  const state = new AgentState();
  const reducer = own === undefined ? {} : { reply: new ReplyReducer(own) };
  const req = request(model, { history: HISTORY, state, ...reducer, ...rest });
  const ctx = new ReplyContext(req);
  const window = new ContextWindow({
    context_size: 5000,
    trigger_ratio: 0.8,
    reserve_ratio: 0.1,
    max_image_num: 5,
    counter: new TokenCounter(new WordTokenizer()),
    offload,
    ...of,
  });
  const events: AgentEvent[] = [];
  const run = async (): Promise<string[]> => {
    const { session_id, agent_name: name } = req;
    events.push(ctx.emit({ type: 'REPLY_START', session_id, name, role: 'assistant' }));
    for await (const event of fitContext(ctx, window, { system: 'Be kind.', tools: [] })) events.push(event);
    return outline(events).slice(1);
  };
  const view = () => window.view(state.value.window_context, req.history, req.reply.msg);
  const promptOf = (call: number, of = model): string => {
    const [block] = of.calls[call]?.messages[0]?.content ?? [];
    return block?.type === 'text' ? block.text : '';
  };
  return { model, offload, state, req, ctx, window, events, run, view, promptOf };
}

describe('fitContext', () => {
  it('does nothing while the conversation fits', async () => {
    const { run, state } = setUp([], { window: { context_size: 50_000 } });
    expect(await run()).toEqual([]);
    expect(state.value).toBe(EMPTY_STATE);
  });

  it('puts a summary in place of the older part, charges the call, and says so', async () => {
    const { run, state, events, view, req, model, offload, promptOf } = setUp([answer()]);
    expect(await run()).toEqual(['MODEL_CALL_START scripted', 'MODEL_CALL_END completed', 'CUSTOM']);
    const { window_context } = state.value;
    expect(window_context).toMatchObject({ from: { message_id: 'r2', block: 0 }, compressions: 1, offloads: 1 });
    for (const field of FIELDS) expect(window_context.summary).toContain(`${field} told`);
    expect(window_context.summary).toContain('## Next steps');
    expect(view().map(({ id }) => id)).toEqual(['context-summary-1', 'r2', 'u3']);

    const [, start, end, compressed] = events;
    expect(start).toMatchObject({ attempt: 1, is_fallback: false, metadata: { purpose: 'compression' } });
    expect(end).toMatchObject({ provider: 'scripted', metadata: { purpose: 'compression' }, input_tokens: 50 });
    expect(req.reply.msg.usage).toMatchObject({ input_tokens: 50, output_tokens: 5 });
    expect(req.reply.msg.content).toEqual([]);
    const value = CUSTOM_EVENTS.context_compressed.parse(compressed?.type === 'CUSTOM' && compressed.value);
    expect(value.tokens_before).toBeGreaterThan(4500);
    expect(value.tokens_after).toBeLessThan(200);

    expect(model.calls[0]?.tools.map(({ name }) => name)).toEqual(['save_summary']);
    expect(promptOf(0)).toContain(`[user]\nfirst ${words(100)}`);
    expect(promptOf(0)).toContain('[tool result tool]');
    expect(promptOf(0)).not.toContain('now this');
    const [[path, item] = []] = offload.items;
    expect(window_context.summary).toContain(`${path} (read_offloaded)`);
    const lines = String(item?.content).trim().split('\n');
    expect(lines.map((line) => (JSON.parse(line) as Msg).id)).toEqual(['u1', 'r1', 'u2']);
  });

  it('speaks grammatically, and its events are what they should be', async () => {
    const { run, events, ctx, req } = setUp([[new ModelError('upstream', 'x')], answer()]);
    await run();
    for await (const event of closeReply(ctx, new Interrupted())) events.push(event);
    checkGrammar(events, { complete: true });
    for (const event of events) AgentEvent.parse(event);
    expect(reduce(events)).toEqual([req.reply.msg]);
  });

  it('cuts inside a long reply, and quotes what it is about', async () => {
    const own = atWork('r', [...pair('b', words(1500)), ...pair('c', words(250)), ...pair('d', words(250))]);
    const { run, state, view } = setUp([answer()], { own });
    await run();
    expect(state.value.window_context.from).toEqual({ message_id: 'r', block: 4 });
    expect(state.value.window_context.summary).toContain('in the words of the user\nnow this');
    expect(view().map(({ id, content }) => [id, content.length])).toEqual([
      ['context-summary-1', 1],
      ['r', 2],
    ]);
  });

  it('tells the model what an earlier summary said', async () => {
    const { run, promptOf, state } = setUp([answer(() => 'known before'), answer(() => 'and now')]);
    await run();
    const before = state.value.window_context;
    const history = [...HISTORY, ...HISTORY.map((msg) => ({ ...msg, id: `${msg.id}-later` }))];
    const second = setUp([answer(() => 'and now')], { rest: { history, state } });
    await second.run();
    expect(promptOf(0)).not.toContain('<earlier-summary>');
    expect(second.promptOf(0)).toContain('known before');
    expect(second.promptOf(0)).not.toContain('<system-reminder>');
    expect(state.value.window_context).toMatchObject({ compressions: 2, offloads: before.offloads + 1 });
    expect(state.value.window_context.summary).not.toContain('known before');
    expect([...second.offload.items.keys()]).toEqual(['context/2']);
  });

  it.each([
    ['a text', [...text('Only words.'), finish()], 'Only words.'],
    ['broken JSON', [...toolCall('s', 'save_summary', '{"task_overview": "half'), finish()], '"half'],
    ['some of the fields, in lists', [...toolCall('s', 'save_summary', { next_steps: ['go'] }), finish()], '["go"]'],
    ['another tool and a text', [...toolCall('s', 'rm', {}), ...text('Said.'), finish()], 'Said.'],
  ])('takes %s for a summary', async (_, script, expected) => {
    const { run, state, model } = setUp([script]);
    await run();
    expect(state.value.window_context.summary).toContain(expected);
    expect(model.calls).toHaveLength(1);
  });

  it('keeps the summary within its share of the window, every section of it', async () => {
    const { run, state, window } = setUp([answer((field) => `${field} ${words(1500)}`)]);
    await run();
    const { summary } = state.value.window_context;
    expect(window.counter.text(summary)).toBeLessThanOrEqual(window.summary_tokens + 100);
    expect(summary).toContain('<<<TRUNCATED>>>');
  });

  it('has what was compressed within the window of the model that summarises', async () => {
    const long = Array.from({ length: 100 }, (_, n) => userMessage(`old${n}`, words(100)));
    const { run, window, promptOf } = setUp([answer()], { rest: { history: [...long, ...HISTORY] } });
    await run();
    expect(window.counter.text(promptOf(0))).toBeLessThan(4000);
    expect(promptOf(0)).toContain('[The oldest part could not be shown.]');
  });

  it('puts files of compressed messages aside', async () => {
    const history = [{ ...userMessage('i'), content: [image('picture')] }, ...HISTORY];
    const { run, offload, state, promptOf } = setUp([answer()], { rest: { history } });
    await run();
    expect(promptOf(0)).toContain('[file image/png]');
    const [data, context] = [...offload.items];
    const [line = ''] = String(context?.[1].content).split('\n');
    expect(line).toContain(`"path":"${data?.[0]}"`);
    expect(line).not.toContain('base64');
    expect(state.value.window_context.offloads).toBe(2);
  });

  it('puts images aside that are no longer shown, whether or not it compresses', async () => {
    const history = [{ ...userMessage('i'), content: [image('old'), image('new')] }, userMessage('u')];
    const { run, state, view } = setUp([], { rest: { history }, window: { context_size: 100_000, max_image_num: 1 } });
    expect(await run()).toEqual([]);
    expect(state.value.window_context.offloads).toBe(1);
    expect(view()[0]?.content.map(({ type }) => type)).toEqual(['text', 'data']);
  });
});

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
