import { z } from 'zod';

export const ModelWarning = z
  .object({
    code: z.enum(['model_deprecated', 'model_sunset']),
    path: z.string().describe('Where in the configuration, e.g. `chat_model_config.model`'),
    message: z.string(),
  })
  .meta({ id: 'ModelWarning' });
export type ModelWarning = z.infer<typeof ModelWarning>;

export const ModelWarnings = z
  .array(ModelWarning)
  .describe('What is wrong with the models as they are configured now; said in `Warning` headers, too');
