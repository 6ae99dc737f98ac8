import { describe, expect, it, jest } from '@jest/globals';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { collect, outline, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../testing/scripted-model.js';
import { ToolError } from './tool.js';
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

describe('runReply', () => {
  it('streams a text', async () => {
    const model = new ScriptedModel([[...text('Hello'), finish(3, 4)]], 'm1');
    const req = request(model, { metadata: { origin: 'test' } });
    expect(await run(req)).toEqual([
      'REPLY_START',
      'MODEL_CALL_START m1',
      'TEXT_BLOCK_START',
      'TEXT_BLOCK_DELTA "Hello"',
      'TEXT_BLOCK_END',
      'MODEL_CALL_END completed',
      'REPLY_END completed',
    ]);
    expect(req.reply.msg).toMatchObject({
      id: 'r',
      name: 'agent',
      metadata: { origin: 'test' },
      usage: { input_tokens: 3, output_tokens: 4 },
      finished_reason: 'completed',
      error: null,
    });
    expect(model.calls[0]).toMatchObject({ system: 'Be kind.', messages: [], tools: [] });
  });

  it('completes every event, and leaves out what is empty', async () => {
    const at = new Date(Date.UTC(2026, 0, 1));
    const model = new ScriptedModel([
      [
        { type: 'text_start', id: '0' },
        { type: 'text_delta', id: '0', delta: '' },
        { type: 'text_end', id: '0' },
        finish(),
      ],
    ]);
    const events = await collect(request(model, { clock: () => at }));
    expect(events.map((event) => event.type)).not.toContain('TEXT_BLOCK_DELTA');
    expect(new Set(events.map((event) => event.id)).size).toBe(events.length);
    for (const event of events) {
      expect(event).toMatchObject({ run_id: 'run', reply_id: 'r', created_at: at.toISOString() });
      expect(event).not.toHaveProperty('metadata');
    }
  });

  it('streams thinking, data and interleaved blocks, and closes what the model left open', async () => {
    const model = new ScriptedModel([
      [
        { type: 'thinking_start', id: '0' },
        { type: 'text_start', id: '0' },
        { type: 'thinking_delta', id: '0', delta: 'Hm' },
        { type: 'thinking_end', id: '0', metadata: { signature: 'x' } },
        { type: 'data', media_type: 'image/png', data: 'QQ==' },
        { type: 'text_delta', id: '0', delta: 'So' },
        finish(),
      ],
    ]);
    const req = request(model);
    await run(req);
    expect(req.reply.msg.content).toMatchObject([
      { type: 'thinking', thinking: 'Hm', metadata: { signature: 'x' } },
      { type: 'text', text: 'So' },
      { type: 'data', source: { data: 'QQ==', media_type: 'image/png' } },
    ]);
    expect(req.reply.msg.content.every((block) => block.finished_at !== null)).toBe(true);
  });

  it('runs a tool and lets the model go on from its result', async () => {
    const model = new ScriptedModel([
      [...toolCall('c1', 'echo', { a: 1 }), finish()],
      [...text('Done'), finish()],
    ]);
    expect((await run(request(model, { tools: [echo] }))).slice(1, -1)).toEqual([
      'MODEL_CALL_START scripted',
      'TOOL_CALL_START c1',
      'TOOL_CALL_DELTA c1 "{\\"a\\":1}"',
      'TOOL_CALL_END c1',
      'MODEL_CALL_END completed',
      'TOOL_RESULT_START c1',
      'TOOL_RESULT_TEXT_DELTA c1 "{\\"a\\":1}"',
      'TOOL_RESULT_END c1 success',
      'MODEL_CALL_START scripted',
      'TEXT_BLOCK_START',
      'TEXT_BLOCK_DELTA "Done"',
      'TEXT_BLOCK_END',
      'MODEL_CALL_END completed',
    ]);
    expect(model.calls[1]?.messages.at(-1)).toMatchObject({
      id: 'r',
      content: [{ type: 'tool_call', state: 'finished' }, { type: 'tool_result' }],
    });
    expect(model.calls[1]?.messages.at(-1)?.content).toHaveLength(2);
  });

  it('gives a reused call id a new one', async () => {
    const model = new ScriptedModel([
      [...toolCall('c', 'echo'), finish()],
      [...toolCall('c', 'echo'), finish()],
      [...text('Done'), finish()],
    ]);
    const req = request(model, { tools: [echo] });
    await run(req);
    const ids = req.reply.msg.content.filter((block) => block.type === 'tool_call').map((block) => block.id);
    expect(ids[0]).toBe('c');
    expect(new Set(ids).size).toBe(2);
  });

  it('runs neighbouring concurrency-safe calls together and the others in turn', async () => {
    const log: string[] = [];
    const gates = new Map<string, () => void>();
    const gated = tool(
      'gated',
      async function* (_, { tool_call_id: id }) {
        log.push(`start ${id}`);
        const wait = new Promise<void>((resolve) => gates.set(id, resolve));
        if (id === 'b') gates.get('a')?.();
        if (id === 'a') await wait;
        else yield { type: 'text', text: 'first' };
        yield { type: 'text', text: id };
        log.push(`end ${id}`);
      },
      { is_concurrency_safe: true },
    );
    const alone = tool('alone', async function* (_, { tool_call_id: id }) {
      log.push(`start ${id}`);
      yield { type: 'text', text: id };
      log.push(`end ${id}`);
    });
    const model = new ScriptedModel([
      [
        ...toolCall('a', 'gated'),
        ...toolCall('b', 'gated'),
        ...toolCall('c', 'alone'),
        ...toolCall('d', 'alone'),
        finish(),
      ],
      [...text('Done'), finish()],
    ]);
    const lines = await run(request(model, { tools: [gated, alone] }));
    expect(log.slice(0, 2)).toEqual(['start a', 'start b']);
    expect(log.slice(4)).toEqual(['start c', 'end c', 'start d', 'end d']);
    const results = lines.filter((line) => line.startsWith('TOOL_RESULT'));
    expect(results.slice(0, 2)).toEqual(['TOOL_RESULT_START a', 'TOOL_RESULT_START b']);
    expect(results.slice(-3)).toEqual([
      'TOOL_RESULT_START d',
      'TOOL_RESULT_TEXT_DELTA d "d"',
      'TOOL_RESULT_END d success',
    ]);
    expect(results.indexOf('TOOL_RESULT_END a success')).toBeLessThan(results.indexOf('TOOL_RESULT_START c'));
  });

  it.each([
    ['an unknown tool', toolCall('c', 'nope'), 'There is no tool named "nope".'],
    ['invalid JSON', toolCall('c', 'strict', '{"a":'), /not valid JSON/],
    ['invalid input', toolCall('c', 'strict', { a: ['x'] }), /input\.a\[0\]: .*expected number/],
  ])('answers %s with an error', async (_, call, message) => {
    const ran = jest.fn();
    const schema = { type: 'object', properties: { a: { type: 'array', items: { type: 'number' } } }, required: ['a'] };
    const refuse = async function* () {
      ran();
    };
    const strict = tool('strict', refuse, { input_schema: schema });
    const model = new ScriptedModel([
      [...call, finish()],
      [...text('Sorry'), finish()],
    ]);
    const req = request(model, { tools: [strict] });
    await run(req);
    expect(ran).not.toHaveBeenCalled();
    expect(req.reply.result('c')).toMatchObject({
      state: 'error',
      output: [{ text: typeof message === 'string' ? message : expect.stringMatching(message) }],
    });
    expect(req.reply.msg.finished_reason).toBe('completed');
  });

  it('gives an empty input to a tool as an empty object', async () => {
    const parts = [{ type: 'tool_call_start' as const, id: 'c', name: 'echo' }, finish()];
    const req = request(new ScriptedModel([parts, [...text('Ok'), finish()]]), { tools: [echo] });
    await run(req);
    expect(req.reply.result('c')).toMatchObject({ state: 'success', output: [{ text: '{}' }] });
  });

  it('tells the model what a tool refuses, and hides what it throws', async () => {
    const refuse = tool('refuse', async function* () {
      yield { type: 'text', text: 'half' };
      throw new ToolError('No such file.');
    });
    const secret = new Error('password=1');
    const broken = tool('broken', () => {
      throw secret;
    });
    const onError = jest.fn();
    const model = new ScriptedModel([
      [...toolCall('a', 'refuse'), ...toolCall('b', 'broken'), finish()],
      [...text('Ok'), finish()],
    ]);
    const req = request(model, { tools: [refuse, broken], onError });
    await run(req);
    expect(req.reply.result('a')).toMatchObject({ state: 'error', output: [{ text: 'half\nNo such file.' }] });
    expect(req.reply.result('b')).toMatchObject({ state: 'error', output: [{ text: 'The tool failed.' }] });
    expect(onError.mock.calls).toEqual([[secret]]);
  });

  it('bounds the output of a tool, and lets it finish', async () => {
    let ended = false;
    const chatty = tool('chatty', async function* () {
      yield { type: 'text', text: 'abc' };
      yield { type: 'text', text: 'd🌍ef' };
      yield { type: 'data', media_type: 'image/png', data: 'QQ==' };
      ended = true;
    });
    const model = new ScriptedModel([
      [...toolCall('c', 'chatty'), finish()],
      [...text('Ok'), finish()],
    ]);
    const req = request(model, { tools: [chatty], tool_result_limit: 8 });
    await run(req);
    expect(ended).toBe(true);
    expect(req.reply.result('c')).toMatchObject({
      state: 'success',
      output: [{ text: expect.stringMatching(/^abcd.*<<<TRUNCATED>>>/s) }],
    });
    expect(req.reply.result('c')?.output).toHaveLength(1);
  });

  it('pulls a tool only as fast as its events are taken', async () => {
    let produced = 0;
    const counter = tool('counter', async function* () {
      for (; produced < 5; produced += 1) yield { type: 'url', media_type: 'a/b', url: 'https://x.test/' };
    });
    const model = new ScriptedModel([
      [...toolCall('c', 'counter'), finish()],
      [...text('Ok'), finish()],
    ]);
    let taken = 0;
    await collect(request(model, { tools: [counter] }), (event) => {
      if (event.type !== 'TOOL_RESULT_DATA_DELTA') return;
      expect(produced).toBe(taken);
      taken += 1;
    });
    expect(taken).toBe(5);
  });

  it('stops when the iterations are used up', async () => {
    const model = new ScriptedModel([1, 2, 3].map((n) => [...toolCall(`c${n}`, 'echo'), finish()]));
    const lines = await run(request(model, { tools: [echo], max_iters: 3, start_iter: 1 }));
    expect(model.calls).toHaveLength(2);
    expect(lines.slice(-3)).toEqual(['TOOL_RESULT_END c2 success', 'EXCEED_MAX_ITERS', 'REPLY_END exceed_max_iters']);
  });
});
