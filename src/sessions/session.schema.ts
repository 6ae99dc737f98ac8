import { z } from 'zod';
import { PermissionRule } from '../core/messages/block.js';
import { Msg } from '../core/messages/message.js';
import { PermissionMode } from '../core/permissions/permission-context.js';
import { ChatModelConfig } from '../models/chat-model-config.schema.js';
import { ModelWarnings } from '../models/model-warning.schema.js';
import { ListQuery, listOf } from '../platform/http/wire.js';

const Name = z.string().trim().min(1).max(512);

/** A client's own name for a session; it may be used wherever a session id is asked for. */
export const SessionName = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{C}/?#\\]+$/u, 'must not hold control characters, slashes, ? or #');

export const MAX_SESSION_RULES = 200;

export const SessionConfig = z
  .object({
    name: Name,
    chat_model_config: ChatModelConfig.nullable(),
    fallback_chat_model_config: ChatModelConfig.nullable(),
    permission_mode: PermissionMode,
    permission_rules: z.array(PermissionRule).max(MAX_SESSION_RULES),
    disabled_tools: z.array(z.string().min(1).max(256)).max(1000),
  })
  .meta({ id: 'SessionConfig' });
export type SessionConfig = z.infer<typeof SessionConfig>;

export const CreateSession = z
  .object({
    agent_id: z.uuid(),
    session_id: SessionName.optional().describe('Your own name for the session, unique among yours'),
    name: Name.optional().describe('Shown in lists; the time of creation when absent'),
    chat_model_config: ChatModelConfig.nullish().describe("The agent's own when absent"),
    fallback_chat_model_config: ChatModelConfig.nullish(),
  })
  .meta({ id: 'CreateSession' });
export type CreateSession = z.infer<typeof CreateSession>;

export const PatchSession = z
  .object({
    name: Name,
    chat_model_config: ChatModelConfig.nullable(),
    fallback_chat_model_config: ChatModelConfig.nullable(),
  })
  .partial()
  .meta({ id: 'PatchSession', description: 'Absent fields stay; null clears a model' });
export type PatchSession = z.infer<typeof PatchSession>;

export const SessionStatus = z.enum(['running', 'idle', 'awaiting_permission', 'awaiting_external_result']);
export type SessionStatus = z.infer<typeof SessionStatus>;

export const SessionRecordView = z
  .object({
    id: z.uuid(),
    external_id: z.string().nullable().describe("The client's own name for it"),
    user_id: z.string(),
    agent_id: z.uuid(),
    source: z.enum(['user', 'schedule']),
    config: SessionConfig,
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'SessionRecord' });
export type SessionRecordView = z.infer<typeof SessionRecordView>;

export const SessionView = z
  .object({ session: SessionRecordView, is_running: z.boolean(), status: SessionStatus, team: z.null() })
  .meta({ id: 'SessionView' });
export type SessionView = z.infer<typeof SessionView>;

export const SessionList = listOf('sessions', SessionView).meta({ id: 'SessionList' });
export const SessionCreated = z
  .object({ session_id: z.uuid(), external_id: z.string().nullable(), warnings: ModelWarnings })
  .meta({ id: 'SessionCreated' });
export type SessionCreated = z.infer<typeof SessionCreated>;

export const SessionPatched = z
  .object({ ...SessionRecordView.shape, warnings: ModelWarnings })
  .meta({ id: 'SessionPatched' });
export type SessionPatched = z.infer<typeof SessionPatched>;

/** The agent of a session may be named with it; it must then be the right one. */
export const AgentHint = z.object({
  agent_id: z.string().max(256).optional().describe('Checked against the session when given'),
});
export type AgentHint = z.infer<typeof AgentHint>;

export const SessionListQuery = z.object({ ...ListQuery.shape, ...AgentHint.shape });
export type SessionListQuery = z.infer<typeof SessionListQuery>;

export const MessagesQuery = z.object({
  ...AgentHint.shape,
  before: z.string().min(1).max(256).optional().describe('Messages older than this one'),
  limit: z.coerce.number().int().min(1).max(200).default(50),
});
export type MessagesQuery = z.infer<typeof MessagesQuery>;

export const MessagePage = z
  .object({
    messages: z.array(Msg),
    has_more: z.boolean(),
    is_running: z.boolean(),
    as_of_seq: z.int().nonnegative().describe('`/stream?after=` this continues exactly where these messages end'),
  })
  .meta({ id: 'MessagePage' });
export type MessagePage = z.infer<typeof MessagePage>;
