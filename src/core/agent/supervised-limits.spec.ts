import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { ScriptedModel } from '../testing/scripted-model.js';
import { CALL, END, LIMITS, never, say, START, SupervisedRun, TEXT } from '../testing/supervised-run.js';
import { ReplyLimit } from './reply-context.js';
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

describe('SupervisedReply: a handler that fails', () => {
  it('opens and closes a reply whose handler fails before its start', async () => {
    const failure = new Error('broken');

    const run = new Run(async function* () {
      throw failure;
    });
    expect(await run.rest()).toEqual(['REPLY_START', 'REPLY_END error internal']);
    expect(run.errors).toEqual([failure]);
    run.check();
  });

  it('closes a reply whose handler fails in the middle', async () => {
    const failure = new Error('secret');
    const run = new Run(async function* (req) {
      yield say(req, START);
      yield say(req, CALL);
      yield say(req, TEXT);
      throw failure;
    });
    expect((await run.rest()).slice(-3)).toEqual([
      'TEXT_BLOCK_END',
      'MODEL_CALL_END interrupted internal',
      'REPLY_END error internal',
    ]);
    expect(run.errors).toEqual([failure]);
    expect(JSON.stringify(run.events)).not.toContain('secret');
    run.check();
  });

  it('tells its consumer what a handler throws behind its end', async () => {
    const run = new Run(async function* (req) {
      yield say(req, START);
      yield say(req, END);
      throw new Error('late');
    });
    await expect(run.rest()).rejects.toThrow('late');
    run.check();
  });
});

describe('SupervisedReply: limits', () => {
  it('fails a reply without an event for too long', async () => {
    const run = new Run(
      async function* (req) {
        yield say(req, START);
        yield say(req, CALL);
        await never();
      },
      { idle_ms: 5000 },
    );
    await run.take(2);
    const lines = await run.restAfter(5000 + LIMITS.stop_ms);
    expect(lines.slice(-2)).toEqual(['MODEL_CALL_END interrupted internal', 'REPLY_END error internal']);
    expect(run.request.reply.msg.error?.message).toBe('The reply made no progress for too long.');
    run.check();
  });

  it('lets a reply go on as long as there are events', async () => {
    const run = new Run(
      async function* (req) {
        yield say(req, START);
        for (let n = 0; n < 5; n++) {
          await new Promise((resolve) => setTimeout(resolve, 4000));
          yield say(req, { type: 'HINT_BLOCK', block_id: `h${n}`, source: null, hint: 'Note' });
        }
        yield say(req, END);
      },
      { idle_ms: 5000 },
    );
    expect((await run.restAfter(20_000)).at(-1)).toBe('REPLY_END completed');
    run.check();
  });

  it('fails a reply that works for too long, however much it says', async () => {
    const run = new Run(
      async function* (req) {
        yield say(req, START);
        for (let n = 0; ; n++) {
          await new Promise((resolve) => setTimeout(resolve, 1000));
          if (req.signal.aborted) throw req.signal.reason as Error;
          yield say(req, { type: 'HINT_BLOCK', block_id: `h${n}`, source: null, hint: 'Note' });
        }
      },
      { work_ms: 10_000 },
    );
    expect((await run.restAfter(12_000)).at(-1)).toBe('REPLY_END error internal');
    expect(run.request.reply.msg.error?.message).toContain('longer than this service allows');
    expect(run.errors).toEqual([]);
    run.check();
  });

  it('has none left for a reply that worked for too long before', async () => {
    const run = new Run(runReply, { work_ms: -1 }, hanging());
    expect((await run.restAfter(1)).at(-1)).toBe('REPLY_END error internal');
    run.check();
  });

  it('is the reason that runReply is told, too', async () => {
    const run = new Run(runReply, { idle_ms: 3000 }, hanging());
    expect((await run.restAfter(3000)).slice(-2)).toEqual([
      'MODEL_CALL_END interrupted internal',
      'REPLY_END error internal',
    ]);
    expect(run.controller.signal.aborted).toBe(false);
    run.check();
  });

  it('may be given as the reason of a stop', async () => {
    const run = new Run(runReply, {}, hanging());
    await run.take(2);
    run.stop(new ReplyLimit('Enough.'));
    expect((await run.rest()).at(-1)).toBe('REPLY_END error internal');
    expect(run.request.reply.msg.error?.message).toBe('Enough.');
  });

  const hanging = () => ({ model: { model: new ScriptedModel([['hang']]), parameters: {} } });
});
