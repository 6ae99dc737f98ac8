import { z } from 'zod';
import { PermissionRule } from '../core/messages/block.js';
import { Msg } from '../core/messages/message.js';
import { PermissionContext, PermissionMode } from '../core/permissions/permission-context.js';
import { Task, TasksContext } from '../core/state/session-state.js';
import { ChatModelConfig } from '../models/chat-model-config.schema.js';
import { ModelWarnings } from '../models/model-warning.schema.js';
import { ListQuery, listOf } from '../platform/http/wire.js';

export const MAX_NAME = 512;
const Name = z.string().trim().min(1).max(MAX_NAME);

/** A client's own name for a session; it may be used wherever a session id is asked for. */
export const SessionName = z
  .string()
  .min(1)
  .max(256)
  .regex(/^[^\p{C}/?#\\]+$/u, 'must not hold control characters, slashes, ? or #');

export const MAX_SESSION_RULES = 200;
export const MAX_METADATA_KEYS = 32;
const MAX_METADATA_FILTERS = 8;

/** Without a colon: `metadata=key:value` finds it. */
const MetadataKey = z
  .string()
  .regex(/^[^\p{C}:]{1,64}$/u, 'must be 1 to 64 characters without colon or control characters');
const MetadataValue = z.string().max(512);

export const SessionMetadata = z
  .record(MetadataKey, MetadataValue)
  .refine((it) => Object.keys(it).length <= MAX_METADATA_KEYS, `at most ${MAX_METADATA_KEYS} keys`)
  .describe('Your own marks, to find the session by');
export type SessionMetadata = z.infer<typeof SessionMetadata>;

const MetadataPatch = z
  .record(MetadataKey, MetadataValue.nullable())
  .refine((it) => Object.keys(it).length <= 2 * MAX_METADATA_KEYS, `at most ${2 * MAX_METADATA_KEYS} keys`)
  .describe('Merged key by key; null deletes a key');

/** Whose rule it is, is not for the client to say. */
const GivenRule = z
  .object({
    tool_name: PermissionRule.shape.tool_name,
    rule_content: PermissionRule.shape.rule_content.default(null),
    behavior: PermissionRule.shape.behavior,
  })
  .transform((rule) => ({ ...rule, source: 'user' }))
  .meta({ id: 'GivenPermissionRule' });
const GivenRules = z.array(GivenRule).max(MAX_SESSION_RULES);

const DisabledTools = z.array(z.string().min(1).max(256)).max(1000);

export const SessionConfig = z
  .object({
    name: Name,
    chat_model_config: ChatModelConfig.nullable(),
    fallback_chat_model_config: ChatModelConfig.nullable(),
    permission_mode: PermissionMode,
    permission_rules: z.array(PermissionRule).max(MAX_SESSION_RULES),
    disabled_tools: DisabledTools,
    metadata: SessionMetadata,
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
    permission_mode: PermissionMode.default('default'),
    permission_rules: GivenRules.default([]),
    disabled_tools: DisabledTools.default([]).describe('Tools the agent does not get in this session'),
    metadata: SessionMetadata.default({}),
  })
  .meta({ id: 'CreateSession' });
export type CreateSession = z.infer<typeof CreateSession>;

export const PatchSession = z
  .object({
    name: Name,
    chat_model_config: ChatModelConfig.nullable(),
    fallback_chat_model_config: ChatModelConfig.nullable(),
    permission_mode: PermissionMode,
    permission_rules: GivenRules.describe('All of them: a rule that is not named goes'),
    disabled_tools: DisabledTools,
    metadata: MetadataPatch,
  })
  .partial()
  .meta({
    id: 'PatchSession',
    description: 'Absent fields stay; null clears a model, or deletes a key of the metadata',
  });
export type PatchSession = z.infer<typeof PatchSession>;

export const SessionStatus = z.enum(['running', 'idle', 'awaiting_permission', 'awaiting_external_result']);
export type SessionStatus = z.infer<typeof SessionStatus>;

/** At work comes before parked, parked before idle. */
export function statusOf(session: {
  readonly is_running: boolean;
  readonly open_calls: readonly { kind: 'external' | 'confirm' }[];
}): SessionStatus {
  if (session.is_running) return 'running';
  if (session.open_calls.length === 0) return 'idle';
  return session.open_calls.some((call) => call.kind === 'confirm')
    ? 'awaiting_permission'
    : 'awaiting_external_result';
}

export const ForkedFrom = z
  .object({
    session_id: z.uuid(),
    message_id: z.string().nullable().describe('The last message that was copied; null when there was none'),
  })
  .meta({ id: 'ForkedFrom' });
export type ForkedFrom = z.infer<typeof ForkedFrom>;

export const SessionStateView = z
  .object({ permission_context: PermissionContext, tasks_context: TasksContext })
  .meta({ id: 'SessionStateView', description: "What calls are judged by, and the agent's plan" });

export const SessionRecordView = z
  .object({
    id: z.uuid(),
    external_id: z.string().nullable().describe("The client's own name for it"),
    user_id: z.string(),
    agent_id: z.uuid(),
    source: z.enum(['user', 'schedule']),
    config: SessionConfig,
    state: SessionStateView,
    forked_from: ForkedFrom.nullable(),
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

const MetadataPair = z
  .string()
  .regex(/^[^\p{C}:]{1,64}:/u, 'must be `key:value`')
  .max(577);

export const SessionListQuery = z.object({
  ...ListQuery.shape,
  ...AgentHint.shape,
  name: z
    .string()
    .min(1)
    .max(512)
    .optional()
    .describe('Only sessions whose name holds this text, in upper or lower case'),
  metadata: z
    .union([MetadataPair, z.array(MetadataPair).max(MAX_METADATA_FILTERS)])
    .transform((given) => pairsOf(typeof given === 'string' ? [given] : given))
    .refine((pairs) => new Set(pairs.map(([key]) => key)).size === pairs.length, 'names a key twice')
    .transform((pairs): SessionMetadata => Object.fromEntries(pairs))
    .optional()
    .describe(`Only sessions with this mark, as \`key:value\`; may be repeated, up to ${MAX_METADATA_FILTERS} times`),
});
export type SessionListQuery = z.infer<typeof SessionListQuery>;

function pairsOf(texts: readonly string[]): [string, string][] {
  return texts.map((text) => [text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)]);
}

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

export const ForkSession = z
  .object({
    session_id: SessionName.optional().describe('Your own name for the copy, unique among yours'),
    name: Name.optional().describe('Shown in lists; that of the session with "(fork)" when absent'),
    message_id: z.string().min(1).max(256).optional().describe('The last message to be copied; all when absent'),
  })
  .meta({ id: 'ForkSession' })
  .default({});
export type ForkSession = z.infer<typeof ForkSession>;

export const SessionForked = z
  .object({ session_id: z.uuid(), external_id: z.string().nullable() })
  .meta({ id: 'SessionForked' });
export type SessionForked = z.infer<typeof SessionForked>;

export const SessionTasks = z.object({ tasks: z.array(Task) }).meta({ id: 'SessionTasks' });
export type SessionTasks = z.infer<typeof SessionTasks>;
