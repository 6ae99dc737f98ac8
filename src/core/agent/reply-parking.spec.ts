import { describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../events/agent-event.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import type { ToolCallBlock } from '../messages/block.js';
import { toolResult } from '../testing/event-builders.js';
import { collect, outline, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../testing/scripted-model.js';
import type { ReplyRequest } from './reply-request.js';
import type { ExternalTool, Tool } from './tool.js';

const ask: ExternalTool = {
  name: 'ask',
  description: 'ask',
  input_schema: { type: 'object', properties: { n: { type: 'number' } }, required: ['n'] },
  is_read_only: false,
  is_concurrency_safe: false,
  is_idempotent: false,
  is_external: true,
};
const echo = tool('echo', async function* () {
  yield { type: 'text', text: 'x' };
});
const tools: Tool[] = [ask, echo];

/** The events of answers, applied as whoever resumes a reply does. */
function answers(req: ReplyRequest, ...ids: string[]): AgentEvent {
  const results = ids.map((id) => toolResult(id, { name: 'ask' }));
  const base = { created_at: req.clock().toISOString(), run_id: req.run_id, reply_id: req.reply_id };
  return { type: 'EXTERNAL_EXECUTION_RESULT', id: req.newId(), ...base, execution_results: results };
}

/** Goes on with a parked reply: the answers come behind its start. */
async function resume(parked: ReplyRequest, before: AgentEvent[], model: ScriptedModel, ...ids: string[]) {
  const req = { ...parked, model: { model, parameters: {} }, start_iter: 1 };
  const events = [...before];
  await collect(req, (event) => {
    events.push(event);
    if (event.type !== 'REPLY_START') return;
    const answer = answers(req, ...ids);
    req.reply.apply(answer);
    events.push(answer);
  });
  checkGrammar(events, { complete: true });
  expect(reduce(events)).toEqual([req.reply.msg]);
  return { events, lines: outline(events.slice(before.length)) };
}

async function park(req: ReplyRequest): Promise<AgentEvent[]> {
  const events = await collect(req);
  checkGrammar(events, { complete: true });
  expect(req.reply.msg.finished_at).toBeNull();
  return events;
}

describe('an external tool', () => {
  it('is not run: the reply parks and names its calls', async () => {
    const calls = [...toolCall('a', 'ask', { n: 1 }), ...toolCall('b', 'ask', { n: 2 })];
    const req = request(new ScriptedModel([[...calls, finish()]]), { tools });
    const events = await park(req);
    const last = events.at(-1);
    expect(last).toMatchObject({
      type: 'REQUIRE_EXTERNAL_EXECUTION',
      tool_calls: [
        { id: 'a', name: 'ask', input: '{"n":1}' },
        { id: 'b', name: 'ask', input: '{"n":2}' },
      ],
    });
    expect(req.reply.block('a')).toMatchObject({ state: 'submitted' });
    expect(req.reply.result('a')).toBeUndefined();
  });

  it('is offered to the model like any other', async () => {
    const model = new ScriptedModel([[...text('Hi'), finish()]]);
    await collect(request(model, { tools }));
    expect(model.calls[0]?.tools.map((it) => it.name)).toEqual(['ask', 'echo']);
  });

  it('waits until the calls that run here are done', async () => {
    const calls = [...toolCall('a', 'ask', { n: 1 }), ...toolCall('b', 'echo'), ...toolCall('c', 'gone')];
    const req = request(new ScriptedModel([[...calls, finish()]]), { tools });
    const lines = outline(await park(req));
    expect(lines.filter((line) => /RESULT_END|REQUIRE/.test(line))).toEqual([
      'TOOL_RESULT_END b success',
      'TOOL_RESULT_END c error',
      'REQUIRE_EXTERNAL_EXECUTION',
    ]);
  });

  it('that is asked for wrongly is an error like any other, and the model goes on', async () => {
    const model = new ScriptedModel([
      [...toolCall('a', 'ask', { n: 'one' }), ...toolCall('b', 'ask', '{'), finish()],
      [...text('Sorry'), finish()],
    ]);
    const req = request(model, { tools });
    const events = await collect(req);
    checkGrammar(events, { complete: true });
    const lines = outline(events);
    expect(lines.filter((line) => line.startsWith('TOOL_RESULT_END'))).toEqual([
      'TOOL_RESULT_END a error',
      'TOOL_RESULT_END b error',
    ]);
    expect(lines).not.toContain('REQUIRE_EXTERNAL_EXECUTION');
    expect(lines.at(-1)).toBe('REPLY_END completed');
  });

  it('that is asked for wrongly beside a right call does not keep that from being handed out', async () => {
    const calls = [...toolCall('a', 'ask', { n: 'one' }), ...toolCall('b', 'ask', { n: 1 })];
    const req = request(new ScriptedModel([[...calls, finish()]]), { tools });
    const events = await park(req);
    expect(outline(events)).toContain('TOOL_RESULT_END a error');
    expect(events.at(-1)).toMatchObject({ type: 'REQUIRE_EXTERNAL_EXECUTION', tool_calls: [{ id: 'b' }] });
  });

  it('has no effect that must be on record', async () => {
    const begun: string[] = [];
    const onToolsStarting = async (calls: readonly ToolCallBlock[]) => void begun.push(...calls.map((it) => it.id));
    const calls = [...toolCall('a', 'ask', { n: 1 }), ...toolCall('b', 'echo')];
    await park(request(new ScriptedModel([[...calls, finish()]]), { tools, onToolsStarting }));
    expect(begun).toEqual(['b']);
  });
});

describe('a reply that waited', () => {
  const twoCalls = [...toolCall('a', 'ask', { n: 1 }), ...toolCall('b', 'ask', { n: 2 }), finish()];

  it('goes on when all its calls are answered: the model sees the results', async () => {
    const req = request(new ScriptedModel([twoCalls]), { tools });
    const before = await park(req);
    const model = new ScriptedModel([[...text('Done'), finish()]]);
    const { lines } = await resume(req, before, model, 'a', 'b');
    expect(lines[0]).toBe('REPLY_START');
    expect(lines.at(-1)).toBe('REPLY_END completed');
    expect(model.calls[0]?.messages.at(-1)?.content).toMatchObject([
      { type: 'tool_call', id: 'a', state: 'finished' },
      { type: 'tool_call', id: 'b', state: 'finished' },
      { type: 'tool_result', id: 'a' },
      { type: 'tool_result', id: 'b' },
    ]);
  });

  it('parks again while a call is open, and does not hand out twice', async () => {
    const req = request(new ScriptedModel([twoCalls]), { tools });
    const before = await park(req);
    const model = new ScriptedModel([]);
    const first = await resume(req, before, model, 'b');
    expect(first.lines).toEqual(['REPLY_START', 'EXTERNAL_EXECUTION_RESULT']);
    expect(req.reply.block('a')).toMatchObject({ state: 'submitted' });
    const second = await resume(req, first.events, new ScriptedModel([[...text('Done'), finish()]]), 'a');
    expect(second.lines.at(-1)).toBe('REPLY_END completed');
  });

  it('counts the turns it made before it waited', async () => {
    const req = request(new ScriptedModel([twoCalls]), { tools, max_iters: 1 });
    const before = await park(req);
    const { lines } = await resume(req, before, new ScriptedModel([]), 'a', 'b');
    expect(lines.slice(-2)).toEqual(['EXCEED_MAX_ITERS', 'REPLY_END exceed_max_iters']);
  });

  it('is closed when it is stopped', async () => {
    const req = request(new ScriptedModel([twoCalls]), { tools });
    const before = await park(req);
    const controller = new AbortController();
    controller.abort(new Error('stop'));
    const events = await collect({ ...req, signal: controller.signal });
    checkGrammar([...before, ...events], { complete: true });
    expect(outline(events).filter((line) => line.includes('END'))).toEqual([
      'TOOL_RESULT_END a interrupted',
      'TOOL_RESULT_END b interrupted',
      'REPLY_END interrupted',
    ]);
  });
});
