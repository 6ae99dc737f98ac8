import type { AgentEvent } from '../events/agent-event.js';
import type { ToolCallBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { ModelCall, ModelPart } from '../models/chat-model.js';
import type { PermissionDecision } from '../permissions/permission-decision.js';
import type { AgentState } from '../state/session-state.js';
import type { Tool, ToolChunk } from './tool.js';

/** The reply a hook is called for. */
export interface ReplyScope {
  readonly reply_id: string;
  readonly run_id: string;
  readonly session_id: string;
  readonly agent_name: string;
  readonly signal: AbortSignal;
  readonly state: AgentState;
  /** The reply so far; not to be changed. */
  readonly msg: Msg;
  /** A HINT_BLOCK, applied already: to be yielded at once by `onReply` or `onReasoning`. Throws within a model call and when the reply rests. `source` is JSON `{label, sublabel}`. */
  hint(text: string, source: { label: string; sublabel?: string }): AgentEvent;
  /** A CUSTOM event of a name that is not the service's own, to be yielded at once. */
  custom(name: string, value: Record<string, unknown>): AgentEvent;
}

export type Events = AsyncGenerator<AgentEvent, void, void>;

/** One tool call about to be decided on or run; `input` was parsed and validated. */
export interface ToolCallScope {
  readonly reply: ReplyScope;
  readonly call: ToolCallBlock;
  readonly tool: Tool;
  readonly input: unknown;
}

/** What is put in place of the older part of a conversation. */
export interface Compression {
  readonly summary: string;
  readonly from: { readonly message_id: string; readonly block: number };
}

/**
 * Hooks around the work of an agent, as an onion: the first middleware is the outermost, and whoever does not call `next` replaces what is
 * inside. What a hook throws fails the reply (a `ToolError` from `onActing` only its call); so does one that leaves what is inside in the
 * middle of a step. Events that come from `next` are on record, so a hook passes on each of them. `listTools` adds tools to the group `basic`.
 */
export interface AgentMiddleware {
  readonly name: string;
  /** The whole reply, without its start, up to and with its end. */
  onReply?(scope: ReplyScope, next: () => Events): Events;
  /** One model turn: what is said before it, the call, and what it streams. */
  onReasoning?(scope: ReplyScope, next: () => Events): Events;
  /** One tool that runs here; an input given to `next` replaces that of the call. */
  onActing?(scope: ToolCallScope, next: (input?: unknown) => AsyncIterable<ToolChunk>): AsyncIterable<ToolChunk>;
  onCheckPermission?(
    scope: ToolCallScope,
    next: () => Promise<PermissionDecision>,
  ): Promise<PermissionDecision> | PermissionDecision;
  /** One attempt of one model. Nothing is read beyond the `finish`: what is to be done after it belongs in a `finally`. */
  onModelCall?(
    scope: ReplyScope,
    call: ModelCall,
    next: (call: ModelCall) => AsyncIterable<ModelPart>,
  ): AsyncIterable<ModelPart>;
  /** The conversation has grown beyond its share of the window; null leaves it as it is. */
  onCompressContext?(scope: ReplyScope, next: () => Promise<Compression | null>): Promise<Compression | null>;
  /** In order, each gets what the one before made of it. */
  onSystemPrompt?(scope: ReplyScope, prompt: string): Promise<string> | string;
  listTools?(): readonly Tool[];
}
