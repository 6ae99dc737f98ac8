import type { Metadata } from '../messages/block.js';
import type { ErrorType, Msg, Usage } from '../messages/message.js';

/** What a model is told about a tool; `input_schema` is JSON Schema (draft 2020-12). */
export interface ToolSpec {
  readonly name: string;
  readonly description: string;
  readonly input_schema: Record<string, unknown>;
}

export interface ModelCall {
  readonly system: string;
  /** The conversation so far, oldest first; the last one may be the assistant message whose tool results the model is to continue from. */
  readonly messages: readonly Msg[];
  readonly tools: readonly ToolSpec[];
  /** Request parameters as validated against the model's card. */
  readonly parameters: Readonly<Record<string, unknown>>;
  readonly signal: AbortSignal;
}

/**
 * What a model streams. Parts of one block share its `id`; blocks may interleave. Exactly one `finish` ends a successful stream; a
 * failure is thrown as `ModelError`, also in mid-stream.
 */
export type ModelPart =
  | { type: 'text_start' | 'thinking_start'; id: string }
  | { type: 'text_delta' | 'thinking_delta'; id: string; delta: string }
  | { type: 'text_end' | 'thinking_end'; id: string; metadata?: Metadata }
  | { type: 'data'; media_type: string; data: string }
  | { type: 'tool_call_start'; id: string; name: string }
  | { type: 'tool_call_delta'; id: string; delta: string }
  | { type: 'tool_call_end'; id: string; metadata?: Metadata }
  | { type: 'finish'; usage: Usage };

/** The port to a language model: one streamed call. An abort of `call.signal` ends the stream at once by throwing the signal's reason. */
export interface ChatModel {
  readonly provider: string;
  readonly name: string;
  stream(call: ModelCall): AsyncIterable<ModelPart>;
}

const RETRYABLE: ReadonlySet<ErrorType> = new Set(['rate_limit', 'upstream', 'connection']);

/** A failure of a model call. `message` may hold what the provider said and is for the log only; clients get `describeError(type)`. */
export class ModelError extends Error {
  override readonly name = 'ModelError';
  constructor(
    readonly type: ErrorType,
    message: string,
    /**
     * `retry_after_ms`: how long the provider says to wait. `retryable`: whether the same call may succeed soon, where that is known beyond the
     * class, e.g. false for a quota that is used up. `overflow`: the conversation is longer than the model takes.
     */
    readonly options: {
      cause?: unknown;
      retry_after_ms?: number | undefined;
      retryable?: boolean;
      overflow?: boolean;
    } = {},
  ) {
    super(message, { cause: options.cause });
  }

  /** The same call may succeed later. */
  get retryable(): boolean {
    return this.options.retryable ?? RETRYABLE.has(this.type);
  }
}

const SENTENCES: Record<ErrorType, string> = {
  authentication: 'The model provider did not accept the credential.',
  permission: 'The credential is not allowed to use this model.',
  rate_limit: 'The model provider is limiting the rate of requests. Try again later.',
  invalid_request: 'The model provider rejected the request as invalid.',
  upstream: 'The model provider failed to answer.',
  connection: 'The model provider could not be reached or the connection was lost.',
  internal: 'The service failed while it worked on this reply.',
  setup: 'The reply could not be prepared.',
  unknown: 'The reply failed for an unknown reason.',
};

/** The fixed sentence a client sees for a class of failure; never the text of an exception. */
export function describeError(type: ErrorType): { type: ErrorType; message: string } {
  return { type, message: SENTENCES[type] };
}
