import { describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../events/agent-event.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { permissionContext } from '../permissions/permission-context.js';
import { outcomes, PlayedReply, whenApplied } from '../testing/played-reply.js';
import { request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from '../testing/scripted-model.js';
import { SupervisedRun } from '../testing/supervised-run.js';
import type { AgentMiddleware, Events } from './middleware.js';
import { ReplyLimit } from './reply-context.js';
import type { ReplyRequest } from './reply-request.js';
import { runReply } from './reply.js';

type Hooks = Omit<AgentMiddleware, 'name'>;
const done: ScriptStep[] = [...text('Done'), finish()];
const calls: ScriptStep[] = [...toolCall('a', 'echo'), ...toolCall('b', 'echo'), finish()];
const echo = tool('echo', async function* () {
  yield { type: 'text', text: 'x' };
});
const broken = new Error('secret');
const fail = (): never => {
  throw broken;
};
const never = () => new Promise<never>(() => undefined);

function scene(hooks: Hooks, rest: Partial<ReplyRequest> & { scripts?: ScriptStep[][] } = {}) {
  const { scripts = [calls, done], ...overrides } = rest;
  const errors: unknown[] = [];
  const model = new ScriptedModel(scripts);
  const onError = (error: unknown) => errors.push(error);
  const middleware = [{ name: 'm', ...hooks }];
  const req = request(model, { tools: [echo], middleware, onError, ...overrides });
  return { model, errors, req, played: new PlayedReply(req) };
}

/** Each hook at the places where it can fail or hang: at once, and where it streams, behind what came from inside. */
const places = (act: () => never | Promise<never>): [string, Hooks][] => {
  async function* before<T>(): AsyncGenerator<T> {
    await act();
  }
  async function* after<T>(next: () => AsyncIterable<T>): AsyncGenerator<T> {
    yield* next();
    await act();
  }
  async function* within<T>(next: () => AsyncIterable<T>): AsyncGenerator<T> {
    for await (const item of next()) {
      yield item;
      await act();
    }
  }
  return [
    ['onReply, before', { onReply: () => before() }],
    ['onReply, within', { onReply: (_scope, next) => within(next) }],
    ['onReasoning, before', { onReasoning: () => before() }],
    ['onReasoning, within', { onReasoning: (_scope, next) => within(next) }],
    ['onReasoning, after', { onReasoning: (_scope, next) => after(next) }],
    ['onModelCall, before', { onModelCall: () => before() }],
    ['onModelCall, within', { onModelCall: (_scope, call, next) => within(() => next(call)) }],
    ['onActing, before', { onActing: () => before() }],
    ['onActing, within', { onActing: (_scope, next) => within(next) }],
    ['onActing, after', { onActing: (_scope, next) => after(next) }],
    ['onCheckPermission', { onCheckPermission: async () => act() }],
    ['onSystemPrompt', { onSystemPrompt: async () => act() }],
  ];
};

const closed = (event: AgentEvent | undefined) => event?.type === 'REPLY_END';

describe('a hook that throws', () => {
  it.each([
    ...places(fail),
    ['onReasoning, at the call', { onReasoning: fail }],
    ['onActing, at the call', { onActing: fail }],
    ['onModelCall, at the call', { onModelCall: fail }],
    ['onCheckPermission, at the call', { onCheckPermission: fail }],
    ['onSystemPrompt, at the call', { onSystemPrompt: fail }],
    ['onReply, at the call', { onReply: fail }],
    ['listTools', { listTools: fail }],
  ] as [string, Hooks][])('fails the reply, and no client sees why: %s', async (_place, hooks) => {
    const { played, errors } = scene(hooks);
    expect((await played.play()).at(-1)).toBe('REPLY_END error internal');
    expect(errors).toEqual([broken]);
    expect(JSON.stringify(played.events)).not.toContain('secret');
    expect(played.msg.content.every((block) => block.finished_at !== null)).toBe(true);
  });

  it('fails a reply that has parked, too', async () => {
    const onReply: Hooks['onReply'] = async function* (_scope, next) {
      yield* next();
      fail();
    };
    const { played } = scene({ onReply }, { permissions: permissionContext('default') });
    expect(outcomes(await played.play())).toEqual([
      'REQUIRE_USER_CONFIRM',
      'TOOL_RESULT_END a error',
      'TOOL_RESULT_END b error',
      'REPLY_END error internal',
    ]);
  });

  it('after the end of the reply changes nothing of it', async () => {
    const onReply: Hooks['onReply'] = async function* (_scope, next) {
      yield* next();
      fail();
    };
    const { played, errors } = scene({ onReply });
    expect((await played.play()).at(-1)).toBe('REPLY_END completed');
    expect(errors).toEqual([broken]);
  });
});

describe('a hook that hangs', () => {
  it.each(places(never))('is left when the reply is stopped: %s', async (_place, hooks) => {
    const { req, errors } = scene(hooks);
    const { model, toolkit, middleware = [] } = req;
    const run = new SupervisedRun(runReply, { stop_ms: 5 }, { model, toolkit, middleware });
    const resting = run.rest();
    await new Promise((resolve) => setImmediate(resolve));
    expect(closed(run.events.at(-1))).toBe(false);
    run.stop();
    expect((await resting).at(-1)).toBe('REPLY_END interrupted');
    checkGrammar(run.events, { complete: true });
    expect(reduce(run.events)).toEqual([run.request.reply.msg]);
    expect(errors).toEqual([]);
  });
});

describe('a hook that does not go inside', () => {
  it('ends the reply, when it stands for all of it', async () => {
    const onReply: Hooks['onReply'] = async function* (scope) {
      yield scope.hint('Closed today.', { label: 'Test' });
    };
    const { played, model } = scene({ onReply });
    expect(await played.play()).toEqual(['REPLY_START', 'HINT_BLOCK', 'REPLY_END completed']);
    expect(model.calls).toEqual([]);
  });

  it('ends the reply, when it stands for a turn', async () => {
    const onReasoning: Hooks['onReasoning'] = async function* (scope) {
      yield scope.hint('No.', { label: 'Test' });
    };
    const { played, model } = scene({ onReasoning });
    expect(await played.play()).toEqual(['REPLY_START', 'HINT_BLOCK', 'REPLY_END completed']);
    expect(model.calls).toEqual([]);
  });

  it('does not come to what the reply is bound to', async () => {
    const { played } = scene({ async *onReply() {} }, { structured: { type: 'object' } });
    expect(await played.play()).toEqual(['REPLY_START', 'REPLY_END error internal']);
  });
});

describe('a hook that goes inside twice', () => {
  async function* twice(_scope: unknown, next: () => Events): Events {
    yield* next();
    yield* next();
  }

  it('makes another model turn when the first one called nothing', async () => {
    const { played, model } = scene({ onReasoning: twice }, { scripts: [done, done] });
    expect((await played.play()).at(-1)).toBe('REPLY_END completed');
    expect(model.calls).toHaveLength(2);
  });

  it('fails the reply when calls of the first turn are open', async () => {
    const { played, errors } = scene({ onReasoning: twice });
    expect((await played.play()).at(-1)).toBe('REPLY_END error internal');
    expect(errors).toHaveLength(1);
  });

  it('changes nothing of a reply that is over', async () => {
    const { played, errors } = scene({ onReply: twice });
    expect((await played.play()).at(-1)).toBe('REPLY_END completed');
    expect(errors).toHaveLength(1);
  });
});

describe('a hook that leaves what is inside', () => {
  const until = (type: AgentEvent['type']): Hooks['onReply'] =>
    async function* (_scope, next) {
      for await (const event of next()) {
        yield event;
        if (event.type === type) return;
      }
    };

  it('between two steps ends the reply', async () => {
    const scripts = [[...toolCall('a', 'echo'), finish()]];
    const { played } = scene({ onReply: until('TOOL_RESULT_END') }, { scripts });
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END a success', 'REPLY_END completed']);
  });

  it.each(['MODEL_CALL_START', 'TOOL_CALL_START', 'MODEL_CALL_END', 'TOOL_RESULT_START', 'TOOL_RESULT_END'] as const)(
    'in the middle fails the reply: after %s',
    async (type) => {
      const { played } = scene({ onReply: until(type) });
      expect((await played.play()).at(-1)).toBe('REPLY_END error internal');
    },
  );

  it('when its turns are over fails the reply', async () => {
    const { played } = scene({ onReply: until('EXCEED_MAX_ITERS') }, { max_iters: 1 });
    expect((await played.play()).slice(-2)).toEqual(['EXCEED_MAX_ITERS', 'REPLY_END error internal']);
  });

  it('in the middle of a model call fails the reply', async () => {
    const { played } = scene({ onReasoning: until('TOOL_CALL_START') });
    expect((await played.play()).at(-1)).toBe('REPLY_END error internal');
  });

  it('behind a model call has its calls run', async () => {
    const { played } = scene({ onReasoning: until('MODEL_CALL_END') });
    expect(outcomes(await played.play())).toEqual([
      'TOOL_RESULT_END a success',
      'TOOL_RESULT_END b success',
      'REPLY_END completed',
    ]);
  });

  it('does not keep a stop or a limit from the reply', async () => {
    for (const [reason, end] of [
      [new Error('stop'), 'REPLY_END interrupted'],
      [new ReplyLimit('Too long.'), 'REPLY_END error internal'],
    ] as const) {
      const stop = new AbortController();
      const onReply: Hooks['onReply'] = async function* (_scope, next) {
        try {
          yield* next();
        } catch {
          // Whatever it was.
        }
      };
      const { played } = scene({ onReply }, { signal: stop.signal, scripts: [[() => stop.abort(reason), 'hang']] });
      expect((await played.play()).at(-1)).toBe(end);
    }
  });

  it('does not keep a reply from being handed over', async () => {
    const handover = new AbortController();
    const onReply: Hooks['onReply'] = async function* (_scope, next) {
      try {
        yield* next();
      } catch {
        // Whatever it was.
      }
    };
    const scripts: ScriptStep[][] = [[() => handover.abort(), 'hang']];
    const { req } = scene({ onReply }, { handover: handover.signal, scripts });
    const types: string[] = [];
    for await (const event of runReply(req)) types.push(event.type);
    expect(types).toEqual(['REPLY_START', 'MODEL_CALL_START']);
  });
});

describe('a limit that is reached', () => {
  it('when the reply has just parked fails it', async () => {
    const stop = new AbortController();
    const { req } = scene({}, { signal: stop.signal, permissions: permissionContext('default') });
    const played = new PlayedReply(req);
    whenApplied(played.request, 'REQUIRE_USER_CONFIRM', () => stop.abort(new ReplyLimit('Too long.')));
    expect(outcomes(await played.play())).toEqual([
      'REQUIRE_USER_CONFIRM',
      'TOOL_RESULT_END a error',
      'TOOL_RESULT_END b error',
      'REPLY_END error internal',
    ]);
  });
});
