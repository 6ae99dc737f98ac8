import { describe, expect, it } from '@jest/globals';
import { closeReply } from '../agent/closing.js';
import { Interrupted } from '../agent/reply-context.js';
import { AgentEvent, CUSTOM_EVENTS } from '../events/agent-event.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import type { Msg } from '../messages/message.js';
import { ModelError } from '../models/chat-model.js';
import { EMPTY_STATE } from '../state/session-state.js';
import { answer, FIELDS, HISTORY, setUp } from '../testing/compression.js';
import { atWork, image, pair, words } from '../testing/conversations.js';
import { userMessage } from '../testing/event-builders.js';
import { finish, text, toolCall } from '../testing/scripted-model.js';

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
