import { z } from 'zod';
import { ModelCard } from '../core/models/model-card.js';

export const ModelQuery = z.object({
  provider: z.string().min(1).max(128).describe('Credential type, e.g. `openai_credential`'),
});
export type ModelQuery = z.infer<typeof ModelQuery>;

export const ModelList = z
  .object({ models: z.array(ModelCard), total: z.int().nonnegative(), next_cursor: z.null() })
  .meta({ id: 'ModelList' });
