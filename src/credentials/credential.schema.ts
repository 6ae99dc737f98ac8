import { z } from 'zod';
import { ErrorInfo } from '../core/messages/message.js';
import { listOf } from '../platform/http/wire.js';

/** `data` is checked against the schema of its `type` (see `GET /credential/schemas`). */
const CredentialData = z.looseObject({
  type: z.string().min(1).max(128).describe('Credential type, e.g. `openai_credential`'),
  name: z.string().trim().max(256).optional().describe('Shown in lists; made up when absent'),
});

export const CreateCredential = z.object({ data: CredentialData }).meta({ id: 'CreateCredential' });
export type CreateCredential = z.infer<typeof CreateCredential>;

export const PatchCredential = z
  .object({ data: CredentialData.partial() })
  .meta({ id: 'PatchCredential', description: 'Absent fields stay, secrets too; the type never changes' });
export type PatchCredential = z.infer<typeof PatchCredential>;

export const CredentialView = z
  .object({
    id: z.uuid(),
    user_id: z.string().nullable().describe('null: it is the operator’s'),
    data: z
      .looseObject({ type: z.string(), name: z.string() })
      .describe('Without its secrets; of the operator’s credentials type and name only'),
    editable: z.boolean().describe('false: it stands in the configuration of the service'),
    created_at: z.iso.datetime().nullable(),
    updated_at: z.iso.datetime().nullable(),
  })
  .meta({ id: 'CredentialView' });
export type CredentialView = z.infer<typeof CredentialView>;

export const CredentialList = listOf('credentials', CredentialView).meta({ id: 'CredentialList' });
export const CredentialCreated = z.object({ credential_id: z.uuid() }).meta({ id: 'CredentialCreated' });
export const CredentialSchemas = z.object({ schemas: z.array(z.record(z.string(), z.unknown())) }).meta({
  id: 'CredentialSchemas',
  description: 'One JSON Schema per credential type; secrets have format password and writeOnly',
});

export const DeleteCredentialQuery = z.object({
  force: z.stringbool().default(false).describe('Also when something uses it'),
});
export type DeleteCredentialQuery = z.infer<typeof DeleteCredentialQuery>;

export const CredentialVerified = z
  .object({
    ok: z.boolean().describe('The provider took the credential'),
    error: ErrorInfo.optional().describe('Why not, by class'),
  })
  .meta({ id: 'CredentialVerified' });
export type CredentialVerified = z.infer<typeof CredentialVerified>;

const Fields = z.array(z.enum(['chat_model_config', 'fallback_chat_model_config'])).describe('Where it is named');

export const CredentialUsages = z
  .object({
    agents: z.array(z.object({ id: z.uuid(), name: z.string(), fields: Fields })),
    sessions: z.array(z.object({ id: z.uuid(), name: z.string(), agent_id: z.uuid(), fields: Fields })),
    schedules: z.array(z.object({ id: z.uuid(), name: z.string(), fields: Fields })),
    totals: z.object({
      agents: z.int().nonnegative(),
      sessions: z.int().nonnegative(),
      schedules: z.int().nonnegative(),
    }),
  })
  .meta({
    id: 'CredentialUsages',
    description:
      'What of yours names the credential, the newest of each kind; `totals` count all. A session without a model of its own uses that of its agent and is not listed',
  });
export type CredentialUsages = z.infer<typeof CredentialUsages>;
