import { ReplyContext } from '../agent/reply-context.js';
import type { ReplyRequest } from '../agent/reply-request.js';
import { fitContext } from '../context/compress.js';
import { ContextWindow, type WindowOptions } from '../context/context-window.js';
import { TokenCounter } from '../context/token-counter.js';
import type { AgentEvent } from '../events/agent-event.js';
import { ReplyReducer } from '../events/reply-reducer.js';
import type { Msg } from '../messages/message.js';
import { AgentState } from '../state/session-state.js';
import { MemoryOffloads, pair, reply, textBlock, WordTokenizer, words } from './conversations.js';
import { userMessage } from './event-builders.js';
import { outline, request } from './reply-harness.js';
import { finish, ScriptedModel, toolCall, type ScriptStep } from './scripted-model.js';

export const FIELDS = ['task_overview', 'current_state', 'important_discoveries', 'next_steps', 'context_to_preserve'];
export const answer = (of: (field: string) => unknown = (field) => `${field} told`): ScriptStep[] => [
  ...toolCall('s', 'save_summary', Object.fromEntries(FIELDS.map((field) => [field, of(field)]))),
  finish(50, 5),
];

export const HISTORY: Msg[] = [
  userMessage('u1', `first ${words(2000)}`),
  reply('r1', [...pair('a', words(1500)), textBlock('t1', 'second')]),
  userMessage('u2', `third ${words(1000)}`),
  reply('r2', [textBlock('t2', 'fourth')]),
  userMessage('u3', 'now this'),
];

interface Setting {
  readonly model?: ScriptedModel;
  readonly window?: Partial<WindowOptions>;
  readonly own?: Msg;
  readonly rest?: Partial<ReplyRequest>;
}

/** A reply before a model turn, with a window that its history does not fit into. */
export function setUp(scripts: readonly (readonly ScriptStep[])[], { window: of, own, rest }: Setting = {}) {
  const model = new ScriptedModel(scripts);
  const offload = new MemoryOffloads();
  const state = new AgentState();
  const reducer = own === undefined ? {} : { reply: new ReplyReducer(own) };
  const req = request(model, { history: HISTORY, state, ...reducer, ...rest });
  const ctx = new ReplyContext(req);
  const window = new ContextWindow({
    context_size: 5000,
    trigger_ratio: 0.8,
    reserve_ratio: 0.1,
    max_image_num: 5,
    counter: new TokenCounter(new WordTokenizer()),
    offload,
    ...of,
  });
  const events: AgentEvent[] = [];
  const run = async (): Promise<string[]> => {
    const { session_id, agent_name: name } = req;
    events.push(ctx.emit({ type: 'REPLY_START', session_id, name, role: 'assistant' }));
    for await (const event of fitContext(ctx, window, { system: 'Be kind.', tools: [] })) events.push(event);
    return outline(events).slice(1);
  };
  const view = () => window.view(state.value.window_context, req.history, req.reply.msg);
  const promptOf = (call: number, of = model): string => {
    const [block] = of.calls[call]?.messages[0]?.content ?? [];
    return block?.type === 'text' ? block.text : '';
  };
  return { model, offload, state, req, ctx, window, events, run, view, promptOf };
}
