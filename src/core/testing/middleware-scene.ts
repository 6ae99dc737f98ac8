import type { AgentMiddleware } from '../agent/middleware.js';
import type { ReplyRequest } from '../agent/reply-request.js';
import { PlayedReply } from './played-reply.js';
import { request, tool } from './reply-harness.js';
import { finish, ScriptedModel, text, toolCall, type ScriptStep } from './scripted-model.js';

export const done: ScriptStep[] = [...text('Done'), finish()];
export const oneCall: ScriptStep[] = [...toolCall('a', 'echo', { n: 1 }), finish()];

/** Says its input. */
export const echo = tool('echo', async function* (input) {
  yield { type: 'text', text: JSON.stringify(input) };
});

export type Hooks = Omit<AgentMiddleware, 'name'>;

/** A reply that calls `echo` and says that it is done, inside of middleware with these hooks. */
export function scene(
  hooks: readonly Hooks[],
  scripts: ScriptStep[][] = [oneCall, done],
  rest: Partial<ReplyRequest> = {},
) {
  const middleware = hooks.map((it, index) => ({ name: `m${index}`, ...it }));
  const errors: unknown[] = [];
  const onError = (error: unknown) => errors.push(error);
  const model = new ScriptedModel(scripts);
  return { model, errors, played: new PlayedReply(request(model, { tools: [echo], middleware, onError, ...rest })) };
}
