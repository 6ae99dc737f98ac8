import type { ContextWindow } from '../context/context-window.js';
import type { TokenCounter } from '../context/token-counter.js';
import type { ReplyReducer } from '../events/reply-reducer.js';
import type { HintBlock, Metadata, ToolCallBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { ChatModel, ModelError } from '../models/chat-model.js';
import type { ModelPrices } from '../models/model-card.js';
import type { PermissionContext } from '../permissions/permission-context.js';
import type { ShellParser } from '../permissions/shell/shell-parser.js';
import type { AgentState } from '../state/session-state.js';
import type { Differ } from '../state/state-update.js';
import type { AgentMiddleware } from './middleware.js';
import type { Toolkit } from './toolkit.js';

/** Retries that all replies which call one model share. */
export interface RetryBudget {
  /** Takes one retry; false when there is none left. */
  take(): boolean;
  /** A call was answered. */
  success(): void;
}

/** A model together with the request parameters it is called with. */
export interface BoundModel {
  readonly model: ChatModel;
  readonly parameters: Readonly<Record<string, unknown>>;
  /** What the call is charged to: the id of the credential, and what its tokens cost. */
  readonly credential_id?: string;
  readonly prices?: ModelPrices | null;
  /** Tokens of its window, and the media types it reads; absent or null: not known. */
  readonly context_size?: number | null;
  readonly input_types?: readonly string[] | null;
  /** Counts tokens about as the model does; absent: a byte counts as one. */
  readonly counter?: TokenCounter;
  /** Absent: retries are bounded by `max_retries` only. */
  readonly retryBudget?: RetryBudget;
}

/** What happens after a model error: the same model again, the fallback model, or the end of the reply. */
export type ModelErrorOutcome = 'retry' | 'fallback' | 'fail';

/** Something to be told to the model; `id` becomes that of its block. */
export interface Hint {
  readonly id: string;
  readonly hint: HintBlock['hint'];
  readonly source: string | null;
}

export interface Inbox {
  /** Whether there may be something; looked at before every model turn. */
  readonly hasHints: boolean;
  /** What came, oldest first. Each hint is given once. */
  take(): Promise<readonly Hint[]>;
}

/** Everything one reply needs. All state lives in `reply`, which is owned by the caller. */
export interface ReplyRequest {
  readonly reply_id: string;
  readonly run_id: string;
  readonly session_id: string;
  readonly agent_name: string;
  readonly system_prompt: string;
  /** The conversation before this reply, oldest first. */
  readonly history: readonly Msg[];
  /** `ReplyReducer.blank(reply_id, agent_name)` for a new reply, or one over a checkpoint. Each event is applied before it is yielded. */
  readonly reply: ReplyReducer;
  readonly model: BoundModel;
  readonly fallback: BoundModel | null;
  readonly toolkit: Toolkit;
  /** What calls are judged by; it stays as it is while this reply works. */
  readonly permissions: PermissionContext;
  readonly shellParser: ShellParser;
  /** How the conversation is kept within what the model takes. */
  readonly window: ContextWindow;
  /** IANA zone of the times that the agent is told; default UTC. */
  readonly timezone?: string;
  /** Tokens of one tool result that the model is shown; default 50,000. */
  readonly tool_result_limit?: number;
  /** What the session remembers; tools and the loop change it. */
  readonly state: AgentState;
  /** From the outermost to the innermost. */
  readonly middleware?: readonly AgentMiddleware[];
  readonly max_iters: number;
  /** JSON Schema of an object that the reply has to come to. */
  readonly structured?: Record<string, unknown>;
  /** Further model turns for it when `max_iters` are over; default 5. */
  readonly structured_grace_iters?: number;
  /** How a change of the state is told as a patch; absent: it is not told. */
  readonly differ?: Differ;
  /** What others have left for the agent to hear between its steps. */
  readonly inbox?: Inbox;
  /** Model turns of this reply that were made by earlier runs. */
  readonly start_iter?: number;
  /** Further attempts per model, before its first part only; default 2. */
  readonly max_retries?: number;
  /** Bound on the waiting between the attempts of one model turn, both models together, in milliseconds; default 60,000. */
  readonly max_retry_wait_ms?: number;
  /** How long a call of a tool may take that does not say so itself, in milliseconds; default 600,000. */
  readonly tool_timeout_ms?: number;
  /** Metadata of a new reply's message. */
  readonly metadata?: Metadata;
  /** Stops the reply; a `ReplyLimit` as its reason makes it fail instead. */
  readonly signal: AbortSignal;
  /** Leaves the reply at the next step boundary, without an end: a model call is given up, a running tool is waited for. */
  readonly handover?: AbortSignal;
  /** Awaited before tools that are not yet run start: by then it must be on record that they may have an effect. */
  readonly onToolsStarting?: (calls: readonly ToolCallBlock[]) => Promise<void>;
  readonly newId: () => string;
  readonly clock: () => Date;
  /** Waits between attempts; an abort ends the wait whether or not this listens to the signal. */
  readonly sleep?: (ms: number, signal: AbortSignal) => Promise<void>;
  /** In [0, 1); the jitter of the back-off. */
  readonly random?: () => number;
  readonly onModelError?: (error: ModelError, attempt: number, will: ModelErrorOutcome) => void;
  /** What a client must not see: unexpected exceptions of models, tools and the loop. */
  readonly onError?: (error: unknown) => void;
}
