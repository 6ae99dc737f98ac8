import { z } from 'zod';
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
    user_id: z.string(),
    data: z.looseObject({ type: z.string(), name: z.string() }).describe('Without its secrets'),
    editable: z.boolean(),
    created_at: z.iso.datetime(),
    updated_at: z.iso.datetime(),
  })
  .meta({ id: 'CredentialView' });
export type CredentialView = z.infer<typeof CredentialView>;

export const CredentialList = listOf('credentials', CredentialView).meta({ id: 'CredentialList' });
export const CredentialCreated = z.object({ credential_id: z.uuid() }).meta({ id: 'CredentialCreated' });
export const CredentialSchemas = z.object({ schemas: z.array(z.record(z.string(), z.unknown())) }).meta({
  id: 'CredentialSchemas',
  description: 'One JSON Schema per credential type; secrets have format password and writeOnly',
});
