import { describe, expect, it } from '@jest/globals';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { describeError, ModelError } from '../models/chat-model.js';
import { answer, HISTORY } from '../testing/compression.js';
import { userMessage } from '../testing/event-builders.js';
import { collect, outline, request } from '../testing/reply-harness.js';
import { finish, ScriptedModel, type ScriptStep, text } from '../testing/scripted-model.js';
import type { ReplyRequest } from './reply-request.js';

const tooLong = (): ModelError => new ModelError('invalid_request', 'too long', { overflow: true });

async function run(req: ReplyRequest): Promise<string[]> {
  const events = await collect(req);
  checkGrammar(events, { complete: true });
  expect(reduce(events)).toEqual([req.reply.msg]);
  return outline(events);
}

describe('a conversation that is longer than its model takes, whatever was known of that', () => {
  it('is compressed, and asked again', async () => {
    const model = new ScriptedModel([[tooLong()], answer(), [...text('Done'), finish()]]);
    const req = request(model, { history: HISTORY });
    const lines = await run(req);
    expect(lines.filter((line) => /^(MODEL|CUSTOM|REPLY)/.test(line))).toEqual([
      'REPLY_START',
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END interrupted invalid_request',
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END completed',
      'CUSTOM',
      'MODEL_CALL_START scripted',
      'MODEL_CALL_END completed',
      'REPLY_END completed',
    ]);
    expect(req.state.value.window_context).toMatchObject({ compressions: 1, from: { message_id: 'r2', block: 0 } });
    expect(model.calls[2]?.messages.map(({ id }) => id)).toEqual(['context-summary-1', 'r2', 'u3']);
  });

  it.each<[string, ScriptStep[][], readonly ReturnType<typeof userMessage>[], number]>([
    ['is still too long', [[tooLong()], answer(), [tooLong()]], HISTORY, 3],
    ['has nothing that may go', [[tooLong()]], [], 1],
  ])('fails when it %s', async (_what, scripts, history, calls) => {
    const model = new ScriptedModel(scripts);
    const req = request(model, { history });
    await run(req);
    expect(req.reply.msg.error).toEqual(describeError('invalid_request'));
    expect(model.calls).toHaveLength(calls);
  });

  it('is left to the fallback first', async () => {
    const model = new ScriptedModel([[tooLong()]]);
    const fallback = { model: new ScriptedModel([[...text('Done'), finish()]]), parameters: {} };
    const req = request(model, { history: HISTORY, fallback });
    await run(req);
    expect(req.reply.msg.finished_reason).toBe('completed');
    expect(req.state.value.window_context.compressions).toBe(0);
  });
});
