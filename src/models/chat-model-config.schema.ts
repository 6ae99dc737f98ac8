import { z } from 'zod';

/** Which model a session or agent calls, through which credential, with which parameters. */
export const ChatModelConfig = z
  .object({
    type: z.string().min(1).max(128).describe('Credential type, e.g. `openai_credential`'),
    credential_id: z.uuid(),
    model: z.string().min(1).max(256),
    parameters: z.record(z.string().max(128), z.unknown()).default({}),
  })
  .meta({ id: 'ChatModelConfig' });
export type ChatModelConfig = z.infer<typeof ChatModelConfig>;
