import { afterEach, describe, expect, it, jest } from '@jest/globals';
import type { AgentEvent } from '../events/agent-event.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { CALL, delta, END, LIMITS, never, say, START, SupervisedRun, TEXT } from '../testing/supervised-run.js';
import { outline, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../testing/scripted-model.js';
import { runReply } from './reply.js';

jest.useFakeTimers({ doNotFake: ['setImmediate', 'nextTick', 'queueMicrotask'] });
afterEach(() => jest.clearAllTimers());

/** With the clock of the test, and its word on what was said. */
class Run extends SupervisedRun {
  /** Asks for the rest; what needs a timer comes when the test lets time go by. */
  async restAfter(ms: number): Promise<string[]> {
    const rest = this.rest();
    await jest.advanceTimersByTimeAsync(ms);
    return rest;
  }

  /** The reply is whole, and its message is what was said. */
  check(): void {
    checkGrammar(this.events, { complete: true });
    expect(reduce(this.events)).toEqual([this.request.reply.msg]);
  }
}

describe('SupervisedReply', () => {
  it('passes on what runReply says, and nothing else', async () => {
    const echo = tool('echo', async function* () {
      yield { type: 'text', text: 'x' };
    });
    const scripts = () => [
      [...toolCall('c', 'echo'), finish()],
      [...text('Done'), finish()],
    ];
    const plain = request(new ScriptedModel(scripts()), { tools: [echo] });
    const expected: AgentEvent[] = [];
    for await (const event of runReply(plain)) expected.push(event);
    const bound = { model: new ScriptedModel(scripts()), parameters: {} };
    const run = new Run(runReply, {}, { model: bound, toolkit: plain.toolkit });
    expect(await run.rest()).toEqual(outline(expected));
    run.check();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('gives the handler a signal that aborts with the reason of the stop', async () => {
    let seen: AbortSignal | undefined;
    const run = new Run(async function* (req) {
      seen = req.signal;
      yield say(req, START);
      await new Promise<void>((resolve) => req.signal.addEventListener('abort', () => resolve()));
      yield say(req, { ...END, finished_reason: 'interrupted' });
    });
    await run.take(1);
    const rest = run.rest();
    expect(seen?.aborted).toBe(false);
    const reason = new Error('stop');
    run.stop(reason);
    expect(seen?.reason).toBe(reason);
    expect(await rest).toEqual(['REPLY_START', 'REPLY_END interrupted']);
    run.check();
  });

  it('throws the stop in at the yield where the handler stands: finally blocks run, and the reply is closed', async () => {
    const log: string[] = [];
    const run = new Run(async function* (req) {
      try {
        yield say(req, START);
        yield say(req, CALL);
        yield say(req, TEXT);
        log.push('went on');
      } finally {
        log.push('finally');
      }
    });
    await run.take(3);
    run.stop();
    expect(await run.rest()).toEqual([
      'REPLY_START',
      'MODEL_CALL_START m',
      'TEXT_BLOCK_START',
      'TEXT_BLOCK_END',
      'MODEL_CALL_END interrupted',
      'REPLY_END interrupted',
    ]);
    expect(log).toEqual(['finally']);
    expect(run.errors).toEqual([]);
    run.check();
  });

  it('lets the handler close the reply itself', async () => {
    const run = new Run(async function* (req) {
      try {
        yield say(req, START);
        await never();
      } catch {
        yield say(req, { ...END, finished_reason: 'interrupted' });
      }
    });
    await run.take(1);
    run.stop();
    expect(await run.rest()).toEqual(['REPLY_START', 'REPLY_END interrupted']);
    run.check();
  });

  it('closes for a handler that just returns when it is stopped', async () => {
    const run = new Run(async function* (req) {
      try {
        yield say(req, START);
      } catch {
        return;
      }
    });
    await run.take(1);
    run.stop();
    expect(await run.rest()).toEqual(['REPLY_START', 'REPLY_END interrupted']);
    run.check();
  });

  it('cuts off a handler that swallows the stop and goes on talking', async () => {
    const run = new Run(async function* (req) {
      yield say(req, START);
      yield say(req, CALL);
      yield say(req, TEXT);
      for (;;) {
        try {
          yield say(req, delta('.'));
        } catch {
          // Goes on.
        }
      }
    });
    await run.take(4);
    run.stop();
    await run.take(3);
    expect(run.lines.at(-1)).toBe('TEXT_BLOCK_DELTA "."');
    await jest.advanceTimersByTimeAsync(LIMITS.stop_ms);
    expect((await run.rest()).slice(-3)).toEqual([
      'TEXT_BLOCK_END',
      'MODEL_CALL_END interrupted',
      'REPLY_END interrupted',
    ]);
    run.check();
  });

  it('cuts off a handler that does not answer, open calls included', async () => {
    const run = new Run(async function* (req) {
      yield say(req, START);
      yield say(req, CALL);
      yield say(req, { type: 'TOOL_CALL_START', tool_call_id: 'c', tool_call_name: 'echo' });
      await never();
    });
    await run.take(3);
    const rest = run.rest();
    run.stop();
    await jest.advanceTimersByTimeAsync(LIMITS.stop_ms - 1);
    expect(run.events).toHaveLength(3);
    await jest.advanceTimersByTimeAsync(1);
    expect((await rest).slice(3).filter((line) => !line.includes('DELTA'))).toEqual([
      'TOOL_CALL_END c',
      'MODEL_CALL_END interrupted',
      'TOOL_RESULT_START c',
      'TOOL_RESULT_END c interrupted',
      'REPLY_END interrupted',
    ]);
    run.check();
    expect(jest.getTimerCount()).toBe(0);
  });

  it('does not let a handler that was cut off change the reply', async () => {
    let goOn = () => undefined as void;
    const gate = new Promise<void>((resolve) => (goOn = resolve));
    const run = new Run(async function* (req) {
      yield say(req, START);
      yield say(req, CALL);
      await gate;
      yield say(req, TEXT);
    });
    await run.take(2);
    run.stop();
    await run.restAfter(LIMITS.stop_ms);
    const closed = structuredClone(run.request.reply.msg);
    goOn();
    await new Promise((resolve) => setImmediate(resolve));
    expect(run.request.reply.msg).toEqual(closed);
  });

  it('ends a reply that was stopped before it began', async () => {
    const controller = new AbortController();
    controller.abort(new Error('stop'));
    const run = new Run(runReply, {}, { signal: controller.signal });
    expect(await run.rest()).toEqual(['REPLY_START', 'REPLY_END interrupted']);
    run.check();
  });

  it('ends a reply that is stopped when its iterations are just over', async () => {
    const run = new SupervisedRun(runReply, {}, { max_iters: 0 });
    await run.take(2);
    run.stop();
    expect(await run.rest()).toEqual(['REPLY_START', 'EXCEED_MAX_ITERS', 'REPLY_END interrupted']);
    checkGrammar(run.events, { complete: true });
  });

  it('says nothing about a stop behind the end', async () => {
    const run = new Run(async function* (req) {
      yield say(req, START);
      yield say(req, END);
    });
    await run.take(2);
    run.stop();
    expect(await run.rest()).toEqual(['REPLY_START', 'REPLY_END completed']);
  });

  it('ends for a handler that hangs behind its end', async () => {
    const run = new Run(async function* (req) {
      yield say(req, START);
      yield say(req, END);
      await never();
    });
    await run.take(2);
    let isOver = false;
    const rest = run.rest().finally(() => (isOver = true));
    run.stop();
    await jest.advanceTimersByTimeAsync(LIMITS.stop_ms);
    expect(isOver).toBe(true);
    expect(await rest).toEqual(['REPLY_START', 'REPLY_END completed']);
  });
});
