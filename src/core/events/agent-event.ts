import { z } from 'zod';
import {
  DataBlock,
  Metadata,
  PermissionRule,
  TextBlock,
  Timestamp,
  ToolCallBlock,
  ToolResultBlock,
} from '../messages/block.js';
import { ErrorInfo, ErrorType, FinishedReason, Msg, Usage } from '../messages/message.js';
import { PermissionContext } from '../permissions/permission-context.js';
import { TasksContext } from '../state/session-state.js';

/**
 * The events of a session: AgentScope's 28 types, with `run_id`, and ISO-8601 UTC times. What we add travels as CUSTOM events
 * (names in `CUSTOM_EVENTS`), so that a client of the original ignores what it does not know.
 */
const base = { id: z.string(), created_at: Timestamp, run_id: z.string().optional(), metadata: Metadata.optional() };
const ofReply = { ...base, reply_id: z.string() };
const ofBlock = { ...ofReply, block_id: z.string() };
const ofCall = { ...ofReply, tool_call_id: z.string() };

const event = <T extends string, S extends z.ZodRawShape>(type: T, shape: S) =>
  z.object({ type: z.literal(type), ...shape });

export const ReplyStart = event('REPLY_START', {
  ...ofReply,
  session_id: z.string(),
  name: z.string(),
  role: z.literal('assistant'),
});
export const ReplyEnd = event('REPLY_END', {
  ...ofReply,
  session_id: z.string(),
  finished_reason: FinishedReason,
  error: ErrorInfo.nullable(),
  /** What a reply that is bound to a JSON schema came to. */
  structured_output: z.unknown().optional(),
});

/** Which attempt of which model. `attempt` counts from 1 for the model and for the fallback; what a transcript is expanded to has none of it. */
const ofModelCall = {
  provider: z.string().optional(),
  attempt: z.int().positive().optional(),
  is_fallback: z.boolean().optional(),
};
export const ModelCallStart = event('MODEL_CALL_START', { ...ofReply, model_name: z.string(), ...ofModelCall });
/** `error_type` says why an attempt failed; another may follow. */
export const ModelCallEnd = event('MODEL_CALL_END', {
  ...ofReply,
  ...Usage.shape,
  finished_reason: z.enum(['completed', 'interrupted']),
  model_name: z.string().optional(),
  ...ofModelCall,
  error_type: ErrorType.optional(),
});
export const TextBlockStart = event('TEXT_BLOCK_START', ofBlock);
export const TextBlockDelta = event('TEXT_BLOCK_DELTA', { ...ofBlock, delta: z.string() });
export const TextBlockEnd = event('TEXT_BLOCK_END', ofBlock);
export const ThinkingBlockStart = event('THINKING_BLOCK_START', ofBlock);
export const ThinkingBlockDelta = event('THINKING_BLOCK_DELTA', { ...ofBlock, delta: z.string() });
export const ThinkingBlockEnd = event('THINKING_BLOCK_END', ofBlock);
export const DataBlockStart = event('DATA_BLOCK_START', { ...ofBlock, media_type: z.string() });
/** `data` is base64 of the next bytes, each delta padded on its own. */
export const DataBlockDelta = event('DATA_BLOCK_DELTA', { ...ofBlock, data: z.base64(), media_type: z.string() });
export const DataBlockEnd = event('DATA_BLOCK_END', ofBlock);
export const HintBlockEvent = event('HINT_BLOCK', {
  ...ofBlock,
  source: z.string().nullable(),
  hint: z.union([z.string(), z.array(z.discriminatedUnion('type', [TextBlock, DataBlock]))]),
});
export const ToolCallStart = event('TOOL_CALL_START', { ...ofCall, tool_call_name: z.string() });
export const ToolCallDelta = event('TOOL_CALL_DELTA', { ...ofCall, delta: z.string() });
export const ToolCallEnd = event('TOOL_CALL_END', ofCall);
export const ToolResultStart = event('TOOL_RESULT_START', { ...ofCall, tool_call_name: z.string() });
/** `block_id` names the text block the delta belongs to; without one it goes to the last text block of the result. */
export const ToolResultTextDelta = event('TOOL_RESULT_TEXT_DELTA', {
  ...ofCall,
  block_id: z.string().optional(),
  delta: z.string(),
});
/** Carries `data` (base64) or `url`, never both. */
export const ToolResultDataDelta = event('TOOL_RESULT_DATA_DELTA', {
  ...ofCall,
  block_id: z.string(),
  media_type: z.string(),
  data: z.base64().optional(),
  url: z.url().optional(),
});
export const ToolResultEnd = event('TOOL_RESULT_END', {
  ...ofCall,
  state: z.enum(['success', 'error', 'interrupted', 'denied']),
});
export const ExceedMaxIters = event('EXCEED_MAX_ITERS', { ...ofReply, name: z.string() });
export const RequireUserConfirm = event('REQUIRE_USER_CONFIRM', { ...ofReply, tool_calls: z.array(ToolCallBlock) });
export const RequireExternalExecution = event('REQUIRE_EXTERNAL_EXECUTION', {
  ...ofReply,
  tool_calls: z.array(ToolCallBlock),
});
/** Why a call was declined: by whoever was asked, because nobody answered in time, or for what was said instead. */
export const DeclineCause = z.enum(['user', 'expired', 'message']);
export type DeclineCause = z.infer<typeof DeclineCause>;

export const UserConfirmResult = event('USER_CONFIRM_RESULT', {
  ...ofReply,
  confirm_results: z.array(
    z.object({
      confirmed: z.boolean(),
      tool_call: ToolCallBlock,
      rules: z.array(PermissionRule).nullable(),
      comment: z.string().optional(),
      cause: DeclineCause.optional(),
    }),
  ),
});
export const ExternalExecutionResult = event('EXTERNAL_EXECUTION_RESULT', {
  ...ofReply,
  execution_results: z.array(ToolResultBlock),
});
export const UserInterrupt = event('USER_INTERRUPT', ofReply);
export const CustomEvent = event('CUSTOM', { ...base, name: z.string(), value: z.record(z.string(), z.unknown()) });

export const AgentEvent = z
  .discriminatedUnion('type', [
    ReplyStart,
    ReplyEnd,
    ModelCallStart,
    ModelCallEnd,
    TextBlockStart,
    TextBlockDelta,
    TextBlockEnd,
    ThinkingBlockStart,
    ThinkingBlockDelta,
    ThinkingBlockEnd,
    DataBlockStart,
    DataBlockDelta,
    DataBlockEnd,
    HintBlockEvent,
    ToolCallStart,
    ToolCallDelta,
    ToolCallEnd,
    ToolResultStart,
    ToolResultTextDelta,
    ToolResultDataDelta,
    ToolResultEnd,
    ExceedMaxIters,
    RequireUserConfirm,
    RequireExternalExecution,
    UserConfirmResult,
    ExternalExecutionResult,
    UserInterrupt,
    CustomEvent,
  ])
  .meta({ id: 'AgentEvent' });
export type AgentEvent = z.infer<typeof AgentEvent>;
export type AgentEventType = AgentEvent['type'];
export type EventOf<T extends AgentEventType> = Extract<AgentEvent, { type: T }>;

/** The names of our own CUSTOM events and the shape of their `value`. */
export const CUSTOM_EVENTS = {
  /** A user message entered the transcript: `{message: Msg}`. Emitted when a run takes it up, so all tabs see it in its place. */
  user_message: z.object({ message: Msg }),
  /**
   * What a dead attempt streamed beyond its last checkpoint is withdrawn: blocks of the reply that `keep_block_ids` does not name are
   * removed, and the reply is unfinished again. A tool result is named `result:<tool_call_id>`, every other block by its id, so a call can
   * be kept while its result is withdrawn: such a call goes back to `pending`. `usage`, when given, replaces that of the reply.
   */
  reply_rewound: z.object({
    reply_id: z.string(),
    keep_block_ids: z.array(z.string()),
    usage: Usage.nullable().optional(),
  }),
  /** A whole reply was withdrawn from the transcript. */
  reply_removed: z.object({ reply_id: z.string() }),
  /** The conversation before `from` is told to the model by a summary from here on; nothing of the transcript is changed. */
  context_compressed: z.object({
    reply_id: z.string(),
    tokens_before: z.int().nonnegative(),
    tokens_after: z.int().nonnegative(),
    from: z.object({ message_id: z.string(), block: z.int().nonnegative() }),
  }),
  /** Events up to `up_to_seq` are no longer in the log: re-read the transcript and continue at its `as_of_seq`. */
  gap: z.object({ up_to_seq: z.number() }),
  /**
   * The plan or the permissions changed: each that did, whole, and as a JSON Patch (RFC 6902) on an object with both, e.g.
   * `{op: 'replace', path: '/tasks_context/tasks/0/state', value: 'completed'}`. A client takes the one or the other.
   */
  state_updated: z.object({
    tasks_context: TasksContext.optional(),
    permission_context: PermissionContext.optional(),
    patch: z.array(z.looseObject({ op: z.string(), path: z.string() })),
  }),
  /** The session was deleted; the stream ends after this. */
  session_deleted: z.object({}),
} as const;
