import { describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../events/agent-event.js';
import { checkGrammar } from '../events/grammar.js';
import { outline, request } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../testing/scripted-model.js';
import type { ReplyRequest } from './reply-request.js';
import { runReply } from './reply.js';
import { SupervisedReply } from './supervised-reply.js';
import type { ExternalTool } from './tool.js';
import { Toolkit } from './toolkit.js';

const LIMITS = { stop_ms: 60_000, idle_ms: 60_000, work_ms: 60_000 };
const ask: ExternalTool = {
  name: 'ask',
  description: 'ask',
  input_schema: { type: 'object' },
  is_read_only: false,
  is_concurrency_safe: false,
  is_idempotent: false,
  is_external: true,
};
const toolkit = new Toolkit([ask]);

async function play(req: ReplyRequest, onEvent?: (event: AgentEvent) => void): Promise<AgentEvent[]> {
  const events: AgentEvent[] = [];
  for await (const event of new SupervisedReply(req, runReply, LIMITS)) {
    events.push(event);
    onEvent?.(event);
  }
  return events;
}

describe('SupervisedReply, left without an end', () => {
  it('passes a parked reply through', async () => {
    const req = request(new ScriptedModel([[...toolCall('c', 'ask'), finish()]]), { toolkit });
    const events = await play(req);
    expect(events.at(-1)?.type).toBe('REQUIRE_EXTERNAL_EXECUTION');
    expect(req.reply.msg.finished_at).toBeNull();
    checkGrammar(events, { complete: true });
  });

  it('passes a reply that is handed over through', async () => {
    const handover = new AbortController();
    const model = new ScriptedModel([[...text('Hi'), () => handover.abort(), ...text('More', 'u'), finish()]]);
    const req = request(model, { handover: handover.signal });
    const events = await play(req);
    expect(outline(events).at(-1)).toBe('TEXT_BLOCK_END');
    expect(req.reply.msg.finished_at).toBeNull();
    checkGrammar(events);
  });

  it('closes a reply that was parked and stopped at once', async () => {
    const controller = new AbortController();
    const model = new ScriptedModel([[...toolCall('c', 'ask'), finish()]]);
    const req = request(model, { toolkit, signal: controller.signal });
    const events = await play(req, (event) => {
      if (event.type === 'REQUIRE_EXTERNAL_EXECUTION') controller.abort(new Error('stop'));
    });
    expect(outline(events).slice(-2)).toEqual(['TOOL_RESULT_END c interrupted', 'REPLY_END interrupted']);
    checkGrammar(events, { complete: true });
  });

  it('lets its consumer leave: the model is told', async () => {
    const model = new ScriptedModel([[...text('Hi'), 'hang']]);
    const req = request(model);
    for await (const event of new SupervisedReply(req, runReply, LIMITS)) if (event.type === 'TEXT_BLOCK_END') break;
    await new Promise((resolve) => setImmediate(resolve));
    expect(model.calls[0]?.signal.aborted).toBe(true);
  });
});
