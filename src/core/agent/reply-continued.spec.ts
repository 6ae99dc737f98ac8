import { describe, expect, it, jest } from '@jest/globals';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { ReplyReducer } from '../events/reply-reducer.js';
import { ModelError } from '../models/chat-model.js';
import { collect, outline, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../testing/scripted-model.js';
import type { ReplyRequest } from './reply-request.js';

const echo = tool('echo', async function* (input) {
  yield { type: 'text', text: JSON.stringify(input) };
});

/** Runs, and holds what must be true of every run. */
async function run(req: ReplyRequest) {
  const events = await collect(req);
  checkGrammar(events, { complete: true });
  expect(reduce(events)).toEqual([req.reply.msg]);
  return outline(events);
}

describe('a continued reply', () => {
  /** A reply whose model turn is over, with its calls in the states given. */
  async function parked(states: Record<string, 'pending' | 'allowed' | 'asking' | 'finished'>): Promise<ReplyReducer> {
    const calls = Object.keys(states).flatMap((id) => toolCall(id, 'echo'));
    const model = new ScriptedModel([[...calls, finish()]]);
    const first = request(model, { tools: [echo] });
    const iterator = collect(first, (event) => {
      if (event.type === 'MODEL_CALL_END') throw new Error('crash');
    });
    await expect(iterator).rejects.toThrow('crash');
    for (const block of first.reply.msg.content)
      if (block.type === 'tool_call') block.state = states[block.id] ?? 'pending';
    return new ReplyReducer(structuredClone(first.reply.msg));
  }

  it('first runs what is pending or allowed, and answers what was declined', async () => {
    const reply = await parked({ a: 'pending', b: 'allowed', c: 'finished' });
    const created = reply.msg.created_at;
    const model = new ScriptedModel([[...text('Done'), finish()]]);
    const lines = outline(await collect(request(model, { tools: [echo], reply })));
    expect(lines.filter((line) => /^REPLY|_END/.test(line))).toEqual([
      'REPLY_START',
      'TOOL_RESULT_END a success',
      'TOOL_RESULT_END b success',
      'TOOL_RESULT_END c denied',
      'TEXT_BLOCK_END',
      'MODEL_CALL_END completed',
      'REPLY_END completed',
    ]);
    expect(reply.msg.created_at).toBe(created);
    expect(model.calls).toHaveLength(1);
  });

  it.each([
    ['the time when it waited for long', 60, true],
    ['nothing when it did not', 1, false],
  ])('is told %s', async (_what, minutes, told) => {
    const reply = await parked({ a: 'allowed' });
    const model = new ScriptedModel([[...text('Done'), finish()]]);
    const later = new Date(Date.parse(reply.msg.created_at) + minutes * 60_000);
    await collect(request(model, { tools: [echo], reply, start_iter: 1, clock: () => later }));
    const types = reply.msg.content.map(({ type }) => type);
    expect(types).toEqual(['tool_call', 'tool_result', ...(told ? ['hint'] : []), 'text']);
  });

  it('parks again while a call still asks', async () => {
    const reply = await parked({ a: 'asking', b: 'allowed' });
    const model = new ScriptedModel([]);
    const lines = outline(await collect(request(model, { tools: [echo], reply })));
    expect(lines.at(-1)).toBe('TOOL_RESULT_END b success');
    expect(reply.msg.finished_at).toBeNull();
    expect(model.calls).toHaveLength(0);
  });

  it('only ends when the answer was already there', async () => {
    const first = request(new ScriptedModel([[...text('Hi'), finish()]]));
    await collect(first);
    Object.assign(first.reply.msg, { finished_at: null, finished_reason: null });
    const model = new ScriptedModel([]);
    const lines = outline(await collect(request(model, { reply: new ReplyReducer(first.reply.msg) })));
    expect(lines).toEqual(['REPLY_START', 'REPLY_END completed']);
  });

  it('is not retried when the model is malformed', async () => {
    const onModelError = jest.fn();
    const req = request(new ScriptedModel([[{ type: 'text_delta', id: 'x', delta: 'y' }, finish()]]), { onModelError });
    expect((await run(req)).at(-1)).toBe('REPLY_END error upstream');
    expect(onModelError.mock.calls).toEqual([[expect.any(ModelError), 1, 'fail']]);
  });
});
