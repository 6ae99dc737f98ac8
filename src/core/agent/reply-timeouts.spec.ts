import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { outcomes, PlayedReply } from '../testing/played-reply.js';
import { request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from '../testing/scripted-model.js';
import type { ReplyRequest } from './reply-request.js';
import type { Tool, ToolChunk, ToolContext } from './tool.js';

const done: ScriptStep[] = [...text('Done'), finish()];
const late = 'The tool took longer than 1 s and was stopped.';
const short = { timeout_ms: 1000 };
const safe = { is_concurrency_safe: true };

beforeEach(() => {
  jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
});
afterEach(() => {
  jest.useRealTimers();
});

/** A tool that says `one` and then waits until it is let go. */
function slow(name = 'slow', rest: Partial<Tool> = short) {
  const gate: { open: () => void } = { open: () => undefined };
  const signals: AbortSignal[] = [];
  const opened = new Promise<void>((resolve) => (gate.open = resolve));
  const left: string[] = [];
  const run = async function* (_input: unknown, { signal, tool_call_id }: ToolContext): AsyncGenerator<ToolChunk> {
    signals.push(signal);
    try {
      yield { type: 'text', text: 'one' };
      await opened;
      yield { type: 'text', text: 'two' };
    } finally {
      left.push(tool_call_id);
    }
  };
  return { it: tool(name, run, rest), gate, signals, left };
}

const quick = tool(
  'quick',
  async function* () {
    yield { type: 'text', text: 'quick' };
  },
  safe,
);

function scene(tools: Tool[], calls: ScriptStep[], rest: Partial<ReplyRequest> = {}) {
  return new PlayedReply(request(new ScriptedModel([[...calls, finish()], done]), { tools, ...rest }));
}

const settled = () => new Promise((resolve) => setImmediate(resolve));

describe('a tool that takes too long', () => {
  it('is told, gets an error result, and the model goes on; what it says later is not heard', async () => {
    const tool = slow();
    const played = scene([tool.it], toolCall('a', 'slow'));
    const playing = played.play();
    await settled();
    jest.advanceTimersByTime(999);
    await settled();
    expect(tool.signals[0]?.aborted).toBe(false);
    jest.advanceTimersByTime(1);
    expect(outcomes(await playing)).toEqual(['TOOL_RESULT_END a error', 'REPLY_END completed']);
    expect(tool.signals[0]?.aborted).toBe(true);
    expect(played.said('a')).toBe(`one\n${late}`);
    const before = structuredClone(played.msg);
    tool.gate.open();
    await settled();
    expect(tool.left).toEqual(['a']);
    expect(played.msg).toEqual(before);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not hold up those that run beside it', async () => {
    const tool = slow('slow', { ...safe, ...short });
    const played = scene([tool.it, quick], [...toolCall('a', 'slow'), ...toolCall('b', 'quick')]);
    const playing = played.play();
    await settled();
    expect(played.result('b').state).toBe('success');
    expect(played.result('a').state).toBe('running');
    jest.advanceTimersByTime(1000);
    expect(outcomes(await playing)).toEqual([
      'TOOL_RESULT_END b success',
      'TOOL_RESULT_END a error',
      'REPLY_END completed',
    ]);
  });

  it('lets another that runs beside it go on', async () => {
    const [one, other] = [slow('one', { ...safe, ...short }), slow('other', { ...safe, timeout_ms: 5000 })];
    const played = scene([one.it, other.it], [...toolCall('a', 'one'), ...toolCall('b', 'other')]);
    const playing = played.play();
    await settled();
    jest.advanceTimersByTime(1000);
    await settled();
    expect(played.result('a').state).toBe('error');
    expect(other.signals[0]?.aborted).toBe(false);
    other.gate.open();
    await playing;
    expect(played.said('b')).toBe('onetwo');
    expect(jest.getTimerCount()).toBe(0);
  });

  it('lets those behind it begin, whose time begins with them', async () => {
    const [one, other] = [slow('one'), slow('other')];
    const played = scene([one.it, other.it], [...toolCall('a', 'one'), ...toolCall('b', 'other')]);
    const playing = played.play();
    await settled();
    jest.advanceTimersByTime(1000);
    await settled();
    jest.advanceTimersByTime(999);
    await settled();
    other.gate.open();
    expect(outcomes(await playing)).toEqual([
      'TOOL_RESULT_END a error',
      'TOOL_RESULT_END b success',
      'REPLY_END completed',
    ]);
  });

  it('is stopped even when it never looks, and throws in the end', async () => {
    const onError = jest.fn();
    const fail: { now: (error: Error) => void } = { now: () => undefined };
    const deaf = tool(
      'deaf',
      () => ({
        [Symbol.asyncIterator]: () => ({
          next: () => new Promise<never>((_resolve, reject) => (fail.now = reject)),
        }),
      }),
      { timeout_ms: 1000 },
    );
    const played = scene([deaf], toolCall('a', 'deaf'), { onError });
    const playing = played.play();
    await settled();
    jest.advanceTimersByTime(1000);
    await playing;
    expect(played.said('a')).toBe(late);
    fail.now(new Error('too late'));
    await settled();
    expect(onError).not.toHaveBeenCalled();
  });

  it('of its own accord has the time of the reply', async () => {
    const untimed = slow('slow', {});
    const played = scene([untimed.it], toolCall('a', 'slow'), { tool_timeout_ms: 2000 });
    const playing = played.play();
    await settled();
    jest.advanceTimersByTime(1999);
    await settled();
    expect(played.result('a').state).toBe('running');
    jest.advanceTimersByTime(1);
    await playing;
    expect(played.said('a')).toBe('one\nThe tool took longer than 2 s and was stopped.');
  });

  it('may have more time than a timer can count', async () => {
    const patient = slow('slow', { timeout_ms: 2 ** 40 });
    const played = scene([patient.it], toolCall('a', 'slow'));
    const playing = played.play();
    await settled();
    jest.advanceTimersByTime(1_000_000);
    await settled();
    expect(played.result('a').state).toBe('running');
    patient.gate.open();
    await playing;
    expect(played.said('a')).toBe('onetwo');
  });
});

describe('the time of a tool', () => {
  it('ends with the reply', async () => {
    const tool = slow();
    const stop = new AbortController();
    const played = scene([tool.it], toolCall('a', 'slow'), { signal: stop.signal });
    const playing = played.play();
    await settled();
    stop.abort(new Error('stop'));
    expect(outcomes(await playing)).toEqual(['TOOL_RESULT_END a interrupted', 'REPLY_END interrupted']);
    expect(tool.signals[0]?.aborted).toBe(true);
    expect(jest.getTimerCount()).toBe(0);
  });

  it('counts for what middleware puts around the tool', async () => {
    const middleware = [
      {
        name: 'm',
        async *onActing(): AsyncGenerator<ToolChunk> {
          yield await new Promise<never>(() => undefined);
        },
      },
    ];
    const played = scene([slow().it], toolCall('a', 'slow'), { middleware });
    const playing = played.play();
    await settled();
    jest.advanceTimersByTime(1000);
    expect(outcomes(await playing)).toEqual(['TOOL_RESULT_END a error', 'REPLY_END completed']);
    expect(played.said('a')).toBe(late);
  });
});
