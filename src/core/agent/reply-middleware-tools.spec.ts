import { describe, expect, it, jest } from '@jest/globals';
import { allow, ask, deny } from '../permissions/permission-decision.js';
import { permissionContext } from '../permissions/permission-context.js';
import { outcomes } from '../testing/played-reply.js';
import { done, echo, type Hooks, scene } from '../testing/middleware-scene.js';
import { request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, toolCall } from '../testing/scripted-model.js';
import type { AgentMiddleware } from './middleware.js';
import { ToolError } from './tool.js';

const reason = { type: 'safety', code: 'test' } as const;

describe('listTools', () => {
  const extra = tool('extra', async function* () {
    yield { type: 'text', text: 'more' };
  });

  it('adds tools that are offered and run like any other', async () => {
    const { played, model } = scene([{ listTools: () => [extra] }], [[...toolCall('a', 'extra'), finish()], done]);
    await played.play();
    expect(model.calls[0]?.tools.map((it) => it.name)).toEqual(['echo', 'extra']);
    expect(played.said('a')).toBe('more');
    expect(played.request.toolkit.get('extra')).toBeUndefined();
  });

  it('cannot take the name of another tool', async () => {
    const { played, errors } = scene([{ listTools: () => [echo] }]);
    expect((await played.play()).at(-1)).toBe('REPLY_END error internal');
    expect(errors).toEqual([new Error('Two tools are named "echo".')]);
  });
});

describe('onActing', () => {
  it('may replace the input and the output', async () => {
    const shout: Hooks = {
      async *onActing(_scope, next) {
        for await (const chunk of next({ n: 2 })) {
          yield chunk.type === 'text' ? { ...chunk, text: `${chunk.text}!` } : chunk;
        }
      },
    };
    const seen: unknown[] = [];
    const inner: Hooks = {
      onActing: ({ input }, next) => {
        seen.push(input);
        return next();
      },
    };
    const { played } = scene([shout, inner]);
    await played.play();
    expect(played.said('a')).toBe('{"n":2}!');
    expect(played.call('a').input).toBe('{"n":1}');
    expect(seen).toEqual([{ n: 2 }]);
  });

  it('that never calls the tool stands for it', async () => {
    let ran = false;
    const tools = [
      tool('echo', async function* () {
        ran = true;
        yield { type: 'text', text: 'x' };
      }),
    ];
    const cached: Hooks = {
      async *onActing() {
        yield { type: 'text', text: 'cached' };
      },
    };
    const { toolkit } = request(new ScriptedModel([]), { tools });
    const { played } = scene([cached], undefined, { toolkit });
    await played.play();
    expect([played.said('a'), ran]).toEqual(['cached', false]);
  });

  it('sees what a tool throws as the model is told it', async () => {
    const secret = new Error('secret');
    const tools = [
      tool('echo', () => {
        throw secret;
      }),
    ];
    const seen: unknown[] = [];
    const watching: Hooks = {
      async *onActing(_scope, next) {
        try {
          yield* next();
        } catch (error) {
          seen.push(error);
          throw error;
        }
      },
    };
    const { toolkit } = request(new ScriptedModel([]), { tools });
    const { played, errors } = scene([watching], undefined, { toolkit });
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END a error', 'REPLY_END completed']);
    expect(played.said('a')).toBe('The tool failed.');
    expect(seen).toEqual([new ToolError('The tool failed.')]);
    expect(errors).toEqual([secret]);
  });

  it('fails only the call with a ToolError', async () => {
    const { played, errors } = scene([
      {
        onActing() {
          throw new ToolError('Not on a Sunday.');
        },
      },
    ]);
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END a error', 'REPLY_END completed']);
    expect(played.said('a')).toBe('Not on a Sunday.');
    expect(errors).toEqual([]);
  });

  it('is not asked for a call that is refused or handed out', async () => {
    const onActing = jest.fn<NonNullable<AgentMiddleware['onActing']>>((_scope, next) => next());
    const calls = [...toolCall('a', 'gone'), ...toolCall('b', 'echo', '{'), finish()];
    const { played } = scene([{ onActing }], [calls, done]);
    await played.play();
    expect(onActing).not.toHaveBeenCalled();
  });
});

describe('onCheckPermission', () => {
  it('may deny what the session allows', async () => {
    const { played } = scene([{ onCheckPermission: () => deny(reason, 'Too late.') }]);
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END a denied', 'REPLY_END completed']);
    expect(played.said('a')).toBe('<system-reminder>The call was not allowed. Too late.</system-reminder>');
  });

  it('may ask where the session allows, and is satisfied by the answer', async () => {
    const { played } = scene([{ onCheckPermission: () => ask(reason, 'Sure?', []) }]);
    expect(outcomes(await played.play())).toEqual(['REQUIRE_USER_CONFIRM']);
    expect(played.call('a').metadata).toMatchObject({ approval: { message: 'Sure?' } });
    const lines = await played.play([played.confirm({ id: 'a', confirmed: true })]);
    expect(outcomes(lines)).toEqual(['TOOL_RESULT_END a success', 'REPLY_END completed']);
  });

  it('may still deny what was confirmed', async () => {
    let isLate = false;
    const onCheckPermission: Hooks['onCheckPermission'] = () => (isLate ? deny(reason, 'Late.') : ask(reason, '?', []));
    const { played } = scene([{ onCheckPermission }]);
    await played.play();
    isLate = true;
    const lines = await played.play([played.confirm({ id: 'a', confirmed: true })]);
    expect(outcomes(lines)).toEqual(['TOOL_RESULT_END a denied', 'REPLY_END completed']);
  });

  it('that does not look further replaces the decision', async () => {
    const { played } = scene([{ onCheckPermission: () => allow(reason, 'Fine.') }], undefined, {
      permissions: permissionContext('explore'),
    });
    expect(outcomes(await played.play())).toEqual(['TOOL_RESULT_END a success', 'REPLY_END completed']);
  });

  it('asks about each call that it does not take the suggestion of another for', async () => {
    const suggested = { tool_name: 'echo', rule_content: null, behavior: 'allow', source: 'test' } as const;
    const calls = [...toolCall('a', 'echo'), ...toolCall('b', 'echo'), finish()];
    const { played } = scene([{ onCheckPermission: () => ask(reason, '?', [suggested]) }], [calls, done]);
    await played.play();
    const ids = () => played.named('REQUIRE_USER_CONFIRM').map((call) => call.id);
    expect(ids()).toEqual(['a']);
    await played.play([played.confirm({ id: 'a', confirmed: true })]);
    expect(ids()).toEqual(['b']);
    await played.play([played.confirm({ id: 'b', confirmed: true })]);
    expect(played.msg.finished_reason).toBe('completed');
  });
});
