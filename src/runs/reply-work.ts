import type { BoundModel, ReplyRequest } from '../core/agent/reply-request.js';
import { runReply } from '../core/agent/reply.js';
import type { ReplyHandler } from '../core/agent/supervised-reply.js';
import { Toolkit } from '../core/agent/toolkit.js';
import type { AgentEvent } from '../core/events/agent-event.js';
import { ReplyReducer } from '../core/events/reply-reducer.js';
import { ContextWindow } from '../core/context/context-window.js';
import { TokenCounter } from '../core/context/token-counter.js';
import type { Msg } from '../core/messages/message.js';
import { ModelError } from '../core/models/chat-model.js';
import { permissionContext } from '../core/permissions/permission-context.js';
import type { ShellParser } from '../core/permissions/shell/shell-parser.js';
import { jsonDiff } from './json-differ.js';
import { newEventId, newId } from '../platform/ids.js';
import type { Assembly } from './assembler.js';
import { ModelCallLedger } from './model-call-ledger.js';
import { ReplyLedger } from './reply-ledger.js';
import { ReplyRecorder } from './reply-recorder.js';
import type { Reopened } from './recovery.js';
import type { SignalInput, TakenRun, ToolCallEntry } from './run.store.js';
import { RunInbox } from './run-inbox.js';
import { RunMemory } from './run-memory.js';
import type { Stretch } from './stretch.js';

/** What is known about a reply before it is worked on. */
export interface Preparation {
  readonly run: TakenRun;
  readonly history: Msg[];
  readonly assembly: Assembly | undefined;
  /** Why the reply can only be closed, if so. */
  readonly failure: unknown;
  /** Goes on with what was begun before; null for a reply that starts. */
  readonly reopened: Reopened | null;
  /** What came for the run and its session before it was taken. */
  readonly signals: readonly SignalInput[];
  /** Those of them that have become events when the run ends. */
  readonly consumed: readonly string[];
}

/** What goes on when a reply is taken up again under the same lease. */
export type Carried = Pick<ReplyLedger, 'calls' | 'memory' | 'inbox'>;

/** A reply that is ready to be worked on. */
export interface ReplyWork {
  readonly request: ReplyRequest;
  readonly handler: ReplyHandler;
  readonly ledger: ReplyLedger;
}

const NO_CONTEXT = { trigger_ratio: 1, reserve_ratio: 0, max_image_num: 0 };
const NO_SHELL: ShellParser = { parse: () => null };

const BYTES = new TokenCounter({ count: (text) => Buffer.byteLength(text) });

const NO_MODEL: BoundModel = {
  model: {
    provider: '',
    name: '',
    stream: () => {
      throw new ModelError('setup', 'there is no model to call');
    },
  },
  parameters: {},
};

export function prepareReply(
  stretch: Stretch,
  preparation: Preparation,
  carried: Carried | undefined,
  onToolsStarting: (tools: readonly ToolCallEntry[]) => Promise<void>,
): ReplyWork {
  const { run, reopened, assembly, failure, history, signals } = preparation;
  const { held, resources } = stretch;
  const { config, logger } = resources;
  const names = { session_id: held.session_id, run_id: run.run_id };
  const reply = reopened?.reply ?? ReplyReducer.blank(run.reply_id, assembly?.agent.data.name ?? '');
  const { calls, memory, inbox } = carried ?? {
    calls: new ModelCallLedger(assembly),
    memory: new RunMemory(run),
    inbox: new RunInbox(() => stretch.persist(() => resources.store.hints(held.lease))),
  };
  inbox.add(signals);
  const request: ReplyRequest = {
    ...names,
    reply_id: run.reply_id,
    agent_name: assembly?.agent.data.name ?? reply.msg.name,
    system_prompt: assembly?.agent.data.system_prompt ?? '',
    history,
    reply,
    model: assembly?.model ?? NO_MODEL,
    fallback: assembly?.fallback ?? null,
    toolkit: assembly?.toolkit ?? new Toolkit(),
    permissions: assembly?.permissions ?? permissionContext('explore'),
    shellParser: assembly?.shellParser ?? NO_SHELL,
    window: windowOf(assembly),
    tool_result_limit: assembly?.agent.data.context_config.tool_result_limit ?? 0,
    middleware: assembly?.middleware ?? [],
    state: memory.state,
    inbox,
    differ: jsonDiff,
    ...(run.structured_schema && { structured: run.structured_schema }),
    tool_timeout_ms: config.runs.tool_timeout_ms,
    max_iters: assembly?.agent.data.react_config.max_iters ?? 1,
    structured_grace_iters: assembly?.agent.data.react_config.structured_output_grace_iters ?? 0,
    start_iter: reopened?.turns ?? 0,
    max_retries: config.runs.model_retries,
    signal: held.signal,
    handover: held.handover,
    onToolsStarting: (calls) =>
      onToolsStarting(calls.map(({ id, name }) => ({ tool_call_id: id, name, state: 'started', result: null }))),
    // In the order of their making, by which approvals are listed.
    newId,
    clock: () => new Date(),
    onModelError: (error, attempt, will) => logger.warn({ err: error, attempt, will, ...names }, 'A model call failed'),
    onError: (error) => logger.error({ err: error, ...names }, 'A reply met an unexpected error'),
  };
  return {
    request,
    handler: failure === undefined ? runReply : failing(failure),
    ledger: new ReplyLedger(new ReplyRecorder(reply, run.run_id, reopened?.recorded), calls, inbox, memory),
  };
}

function windowOf(assembly: Assembly | undefined): ContextWindow {
  const { trigger_ratio, reserve_ratio, max_image_num } = assembly?.agent.data.context_config ?? NO_CONTEXT;
  const { context_size = null, counter = BYTES } = assembly?.model ?? NO_MODEL;
  return new ContextWindow({
    context_size,
    trigger_ratio,
    reserve_ratio,
    max_image_num,
    counter,
    offload: assembly?.offload ?? null,
  });
}

/** A reply that cannot be worked on: its supervisor opens and closes it. */
const failing = (failure: unknown): ReplyHandler =>
  async function* () {
    throw failure;
  };

export function userMessage(message: Msg, run_id: string): AgentEvent {
  return {
    type: 'CUSTOM',
    id: newEventId(),
    created_at: message.created_at,
    run_id,
    name: 'user_message',
    value: { message },
  };
}
