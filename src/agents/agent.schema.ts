import { z } from 'zod';
import { listOf } from '../platform/http/wire.js';
import { ChatModelConfig } from '../models/chat-model-config.schema.js';
import { ModelWarnings } from '../models/model-warning.schema.js';

/** Fields without their defaults: a PATCH must not fill in what it does not name. */
const ContextFields = {
  trigger_ratio: z.number().gt(0).max(0.9),
  reserve_ratio: z.number().gt(0).lt(0.9),
  tool_result_limit: z.int().positive(),
  max_image_num: z.int().nonnegative(),
};
const ReactFields = {
  max_iters: z.int().min(1).max(1000),
  structured_output_grace_iters: z.int().min(0).max(100),
};
const InviteFields = { invitable: z.boolean(), invite_description: z.string().max(4096).nullable() };

export const ContextConfig = z
  .object({
    trigger_ratio: ContextFields.trigger_ratio.default(0.8),
    reserve_ratio: ContextFields.reserve_ratio.default(0.1),
    tool_result_limit: ContextFields.tool_result_limit.default(50_000),
    max_image_num: ContextFields.max_image_num.default(5),
  })
  .meta({ id: 'ContextConfig', description: 'How the conversation is kept within the context window of the model' });

export const ReactConfig = z
  .object({
    max_iters: ReactFields.max_iters.default(50),
    structured_output_grace_iters: ReactFields.structured_output_grace_iters.default(5),
  })
  .meta({ id: 'ReactConfig', description: 'Bounds of the reasoning–acting loop' });

export const InviteConfig = z
  .object({
    invitable: InviteFields.invitable.default(false),
    invite_description: InviteFields.invite_description.default(null),
  })
  .meta({ id: 'InviteConfig', description: 'Whether other agents may invite this one into a team' });

const AgentFields = {
  name: z.string().trim().min(1).max(256),
  system_prompt: z.string().max(1_000_000),
  context_config: ContextConfig,
  react_config: ReactConfig,
  invite_config: InviteConfig,
  chat_model_config: ChatModelConfig.nullable().describe('Model of sessions that have none of their own'),
  fallback_chat_model_config: ChatModelConfig.nullable().describe(
    'Used when the first model fails before its first token',
  ),
};

export const AgentData = z.object(AgentFields).meta({ id: 'AgentData' });
export type AgentData = z.infer<typeof AgentData>;

const invitable = (data: { invite_config?: z.infer<typeof InviteConfig> }) =>
  !data.invite_config?.invitable || Boolean(data.invite_config.invite_description);
const INVITABLE = { path: ['invite_config', 'invite_description'], error: 'an invitable agent needs a description' };

export const CreateAgent = z
  .object({
    ...AgentFields,
    system_prompt: AgentFields.system_prompt.default("You're a helpful assistant."),
    context_config: ContextConfig.prefault({}),
    react_config: ReactConfig.prefault({}),
    invite_config: InviteConfig.prefault({}),
    chat_model_config: AgentFields.chat_model_config.default(null),
    fallback_chat_model_config: AgentFields.fallback_chat_model_config.default(null),
  })
  .refine(invitable, INVITABLE)
  .meta({ id: 'CreateAgent' });
export type CreateAgent = z.infer<typeof CreateAgent>;

export const PatchAgent = z
  .object({
    ...AgentFields,
    context_config: z.object(ContextFields).partial(),
    react_config: z.object(ReactFields).partial(),
    invite_config: z.object(InviteFields).partial(),
  })
  .partial()
  .meta({ id: 'PatchAgent', description: 'Absent fields stay; null clears a model' });
export type PatchAgent = z.infer<typeof PatchAgent>;

export const AgentView = z
  .object({
    id: z.uuid(),
    user_id: z.string(),
    source: z.enum(['user', 'team']),
    data: AgentData,
    editable: z.boolean(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'AgentView' });
export type AgentView = z.infer<typeof AgentView>;

export const AgentList = listOf('agents', AgentView).meta({ id: 'AgentList' });
export const AgentCreated = z.object({ agent_id: z.uuid(), warnings: ModelWarnings }).meta({ id: 'AgentCreated' });
export type AgentCreated = z.infer<typeof AgentCreated>;

export const AgentPatched = z.object({ ...AgentView.shape, warnings: ModelWarnings }).meta({ id: 'AgentPatched' });
export type AgentPatched = z.infer<typeof AgentPatched>;
