import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import { checkGrammar } from '../events/grammar.js';
import { AgentEvent } from '../events/agent-event.js';
import { reduce } from '../events/reducer.js';
import { ModelError } from '../models/chat-model.js';
import { collect, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from '../testing/scripted-model.js';
import { ToolError, type ToolChunk } from './tool.js';

const TOOLS = ['safe', 'safe', 'alone', 'refuses', 'breaks', 'hangs', 'missing'] as const;

const modelStep = fc.oneof(
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('text' as const), text: fc.string({ maxLength: 5 }) }) },
  { weight: 4, arbitrary: fc.record({ kind: fc.constant('call' as const), name: fc.constantFrom(...TOOLS) }) },
  {
    weight: 1,
    arbitrary: fc.constantFrom({ kind: 'open' as const }, { kind: 'data' as const }, { kind: 'hang' as const }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant('fail' as const),
      type: fc.constantFrom('rate_limit' as const, 'authentication' as const, null),
    }),
  },
);
type Step = typeof modelStep extends fc.Arbitrary<infer S> ? S : never;

const turns = fc.array(fc.array(modelStep, { maxLength: 4 }), { maxLength: 6 });

function toScript(steps: readonly Step[], turn: number, hang: () => void): ScriptStep[] {
  const script = steps.flatMap((step, index): ScriptStep[] => {
    const id = `${turn}-${index}`;
    switch (step.kind) {
      case 'text':
        return text(step.text, id);
      case 'call':
        // A call id that comes again in every turn.
        return toolCall(index === 0 ? 'again' : id, step.name, {});
      case 'open':
        return [{ type: 'thinking_start', id }];
      case 'data':
        return [{ type: 'data', media_type: 'image/png', data: 'QQ==' }];
      case 'hang':
        return [hang, 'hang'];
      case 'fail':
        return [step.type === null ? new TypeError('secret') : new ModelError(step.type, 'secret')];
    }
  });
  return [...script, finish()];
}

describe('runReply under random models, tools and aborts', () => {
  it('is always grammatical and complete, and the message is the fold of what was yielded', async () => {
    const reasons = new Set<unknown>();
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    await fc.assert(
      fc.asyncProperty(turns, turns, fc.option(fc.nat(40)), fc.nat(4), async (primary, spare, abortAt, max_iters) => {
        const stop = new AbortController();
        const abortSoon = () => void setImmediate(() => stop.abort());
        const chunks = async function* (): AsyncGenerator<ToolChunk> {
          yield { type: 'text', text: 'one' };
          await Promise.resolve();
          yield { type: 'url', media_type: 'a/b', url: 'https://x.test/' };
        };
        const tools = [
          tool('safe', chunks, { is_concurrency_safe: true }),
          tool('alone', chunks),
          tool('refuses', () => {
            throw new ToolError('No.');
          }),
          tool('breaks', async function* () {
            yield* chunks();
            throw new Error('secret');
          }),
          tool('hangs', async function* () {
            yield* chunks();
            abortSoon();
            await new Promise<never>(() => undefined);
          }),
        ];
        const model = new ScriptedModel(primary.map((steps, turn) => toScript(steps, turn, abortSoon)));
        const fallback = new ScriptedModel(spare.map((steps, turn) => toScript(steps, turn + 100, abortSoon)));
        const req = request(model, {
          tools,
          max_iters,
          fallback: { model: fallback, parameters: {} },
          signal: stop.signal,
        });
        let seen = 0;
        const events = await collect(req, () => {
          if ((seen += 1) === abortAt) stop.abort();
        });
        checkGrammar(events, { complete: true });
        for (const event of events) AgentEvent.parse(event);
        expect(events.at(-1)?.type).toBe('REPLY_END');
        expect(reduce(events)).toEqual([req.reply.msg]);
        expect(JSON.stringify(events)).not.toContain('secret');
        expect(req.reply.msg.content.every((block) => block.finished_at !== null)).toBe(true);
        if (req.reply.msg.finished_reason === 'interrupted') expect(stop.signal.aborted).toBe(true);
        reasons.add(req.reply.msg.finished_reason);
      }),
      { numRuns: 800 },
    );
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect(reasons.size).toBe(4);
  });
});
