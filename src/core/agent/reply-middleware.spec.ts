import { describe, expect, it } from '@jest/globals';
import { ModelError } from '../models/chat-model.js';
import { ask } from '../permissions/permission-decision.js';
import { AgentState } from '../state/session-state.js';
import { outcomes } from '../testing/played-reply.js';
import { done, type Hooks, oneCall, scene } from '../testing/middleware-scene.js';
import { finish, ScriptedModel, text } from '../testing/scripted-model.js';
import type { AgentMiddleware, Events } from './middleware.js';

const reason = { type: 'safety', code: 'test' } as const;

/** Passes everything on and notes when it begins and ends. */
function noting(name: string, log: string[]): Hooks {
  async function* around<T>(what: string, next: () => AsyncIterable<T>): AsyncGenerator<T> {
    log.push(`${name} ${what} in`);
    yield* next();
    log.push(`${name} ${what} out`);
  }
  return {
    onReply: (_scope, next) => around('reply', next),
    onReasoning: (_scope, next) => around('reasoning', next),
    onActing: (_scope, next) => around('acting', next),
    onModelCall(_scope, call, next) {
      log.push(`${name} model`);
      return next(call);
    },
    async onCheckPermission(_scope, next) {
      log.push(`${name} permission in`);
      const decision = await next();
      log.push(`${name} permission out`);
      return decision;
    },
    onSystemPrompt(_scope, prompt) {
      log.push(`${name} prompt`);
      return prompt;
    },
  };
}

describe('middleware', () => {
  it('lies around the work as an onion, the first outermost', async () => {
    const log: string[] = [];
    const { played } = scene([noting('A', log), noting('B', log)]);
    await played.play();
    const both = (what: string, inside: string[] = []) => [
      `A ${what} in`,
      `B ${what} in`,
      ...inside,
      `B ${what} out`,
      `A ${what} out`,
    ];
    const turn = both('reasoning', ['A prompt', 'B prompt', 'A model', 'B model']);
    expect(log).toEqual(both('reply', [...turn, ...both('permission'), ...both('acting'), ...turn]));
  });

  it('has its methods called on itself', async () => {
    class Prefix implements AgentMiddleware {
      readonly name = 'prefix';
      private readonly prefix = 'Hello. ';
      onSystemPrompt(_scope: unknown, prompt: string) {
        return this.prefix + prompt;
      }
    }
    const { played, model } = scene([], [done], { middleware: [new Prefix()] });
    await played.play();
    expect(model.calls[0]?.system).toBe('Hello. Be kind.');
  });

  it('sees the reply it works for, and no other', async () => {
    const seen: unknown[] = [];
    const shared: Hooks = {
      async *onReply(scope, next) {
        yield scope.custom('opened', { reply_id: scope.reply_id });
        yield* next();
        const { reply_id, run_id, session_id, agent_name } = scope;
        seen.push({ reply_id, run_id, session_id, agent_name, said: scope.msg.content.length });
        scope.state.update('tools_context', { groups: { seen: true } });
      },
    };
    const states = [new AgentState(), new AgentState()] as const;
    const first = scene([shared], [oneCall, done], { state: states[0] });
    await first.played.play();
    expect(states[1].value.tools_context.groups).toEqual({});
    const stop = new AbortController();
    const second = scene([shared], [done], { state: states[1], run_id: 'other', signal: stop.signal });
    await second.played.play();
    const names = { reply_id: 'r', session_id: 's', agent_name: 'agent' };
    expect(seen).toEqual([
      { ...names, run_id: 'run', said: 3 },
      { ...names, run_id: 'other', said: 1 },
    ]);
    for (const { played } of [first, second]) {
      expect(played.events.filter((event) => event.type === 'CUSTOM')).toHaveLength(1);
    }
  });
});

describe('onSystemPrompt', () => {
  it('makes a chain, anew for every turn', async () => {
    let turn = 0;
    const { played, model } = scene([
      { onSystemPrompt: (_scope, prompt) => `${prompt} One.` },
      { onSystemPrompt: async (_scope, prompt) => `${prompt} Two ${(turn += 1)}.` },
    ]);
    await played.play();
    expect(model.calls.map((call) => call.system)).toEqual(['Be kind. One. Two 1.', 'Be kind. One. Two 2.']);
  });
});

describe('onModelCall', () => {
  it('is told that its stream is over', async () => {
    const log: string[] = [];
    const timing: Hooks = {
      async *onModelCall(_scope, call, next) {
        try {
          yield* next(call);
        } finally {
          log.push('over');
        }
      },
    };
    const { played } = scene([timing], [done]);
    await played.play();
    expect(log).toEqual(['over']);
  });

  it('may change what is asked and what is answered', async () => {
    const wrap: Hooks = {
      async *onModelCall(_scope, call, next) {
        for await (const part of next({ ...call, system: 'Shout.', tools: [] })) {
          yield part.type === 'text_delta' ? { ...part, delta: part.delta.toUpperCase() } : part;
        }
      },
    };
    const { played, model } = scene([wrap], [done]);
    await played.play();
    expect(model.calls[0]).toMatchObject({ system: 'Shout.', tools: [] });
    expect(played.msg.content).toMatchObject([{ type: 'text', text: 'DONE' }]);
  });

  it('may answer in place of the model', async () => {
    const own: Hooks = {
      async *onModelCall() {
        yield* text('Mine');
        yield finish();
      },
    };
    const { played, model } = scene([own], []);
    expect((await played.play()).at(-1)).toBe('REPLY_END completed');
    expect(played.msg.content).toMatchObject([{ type: 'text', text: 'Mine' }]);
    expect(model.calls).toEqual([]);
  });

  it('is called for every attempt, of the fallback too; what it answers with nothing is tried again', async () => {
    let attempts = 0;
    const fallback = new ScriptedModel([done], 'spare');
    const counting: Hooks = {
      async *onModelCall(_scope, call, next) {
        attempts += 1;
        if (attempts > 1) yield* next(call);
      },
    };
    const bound = { model: fallback, parameters: {} };
    const { played } = scene([counting], [[new ModelError('authentication', 'x')]], { fallback: bound });
    expect((await played.play()).at(-1)).toBe('REPLY_END completed');
    expect([attempts, fallback.calls.length]).toEqual([3, 1]);
  });
});

describe('hints and events of our own', () => {
  const source = { label: 'Test' };

  it('stand where a hook says them, and the model hears the hints', async () => {
    const talking: Hooks = {
      async *onReply(scope, next) {
        yield scope.custom('begun', { n: 1 });
        yield scope.hint('Of the reply', source);
        yield* next();
        yield scope.custom('over', {});
      },
      async *onReasoning(scope, next) {
        yield scope.hint('Of the turn \ud800', { label: 'Test', sublabel: 'a\0b' });
        yield* next();
      },
    };
    const { played, model } = scene([talking]);
    const lines = await played.play();
    expect(lines.filter((line) => /^(CUSTOM|HINT|MODEL_CALL_START|REPLY_END)/.test(line))).toEqual([
      'CUSTOM',
      'HINT_BLOCK',
      'HINT_BLOCK',
      'MODEL_CALL_START scripted',
      'HINT_BLOCK',
      'MODEL_CALL_START scripted',
      'REPLY_END completed',
      'CUSTOM',
    ]);
    expect(model.calls[0]?.messages.at(-1)?.content).toMatchObject([
      { type: 'hint', hint: 'Of the reply', source: '{"label":"Test"}' },
      { type: 'hint', hint: 'Of the turn \ufffd' },
    ]);
  });

  it.each<[string, (scope: Parameters<NonNullable<Hooks['onReply']>>[0], next: () => Events) => Events]>([
    [
      'a hint within a model call',
      async function* (scope, next) {
        for await (const event of next()) {
          yield event;
          if (event.type === 'MODEL_CALL_START') yield scope.hint('x', source);
        }
      },
    ],
    [
      'a hint when the turns are over',
      async function* (scope, next) {
        for await (const event of next()) {
          yield event;
          if (event.type === 'EXCEED_MAX_ITERS') yield scope.custom('fine', {});
          if (event.type === 'EXCEED_MAX_ITERS') yield scope.hint('x', source);
        }
      },
    ],
    [
      'an event of the service',
      async function* (scope) {
        yield scope.custom('reply_rewound', { reply_id: 'r', keep_block_ids: [] });
      },
    ],
  ])('refuse %s', async (_what, onReply) => {
    const { played } = scene([{ onReply }], [oneCall], { max_iters: 1 });
    expect((await played.play()).at(-1)).toBe('REPLY_END error internal');
  });

  it('refuse a hint when the reply has parked', async () => {
    const late: Hooks = {
      onCheckPermission: () => ask(reason, '?', []),
      async *onReply(scope, next) {
        yield* next();
        yield scope.hint('x', source);
      },
    };
    const { played } = scene([late]);
    expect(outcomes(await played.play())).toEqual([
      'REQUIRE_USER_CONFIRM',
      'TOOL_RESULT_END a error',
      'REPLY_END error internal',
    ]);
  });
});
