import { z } from 'zod';
import { ModelCard } from '../core/models/model-card.js';
import { EmbeddingModelCard, TtsModelCard } from '../core/models/model-catalog.js';

const provider = z.string().min(1).max(128).describe('Credential type, e.g. `openai_credential`');

export const ModelQuery = z.object({
  provider: provider.optional().describe('Credential type, e.g. `openai_credential`; all when absent'),
  status: ModelCard.shape.status.optional(),
  input_type: z
    .string()
    .regex(/^[a-z]+\/([a-z0-9.+-]+|\*)$/, 'must be a media type, e.g. image/png or image/*')
    .max(128)
    .optional()
    .describe('Only models that read this media type, e.g. `image/png` or `image/*`'),
});
export type ModelQuery = z.infer<typeof ModelQuery>;

export const ListedModel = z.object({ provider, ...ModelCard.shape }).meta({ id: 'ListedModel' });
const ListedEmbeddingModel = z.object({ provider, ...EmbeddingModelCard.shape }).meta({ id: 'ListedEmbeddingModel' });
const ListedTtsModel = z.object({ provider, ...TtsModelCard.shape }).meta({ id: 'ListedTtsModel' });

/** Catalogues are of a bounded size: they come in one page. */
function modelList<T extends z.ZodType>(item: T) {
  return z.object({ models: z.array(item), total: z.int().nonnegative(), next_cursor: z.null() });
}

export const ModelList = modelList(ListedModel).meta({ id: 'ModelList' });
export const EmbeddingModelList = modelList(ListedEmbeddingModel).meta({ id: 'EmbeddingModelList' });
export const TtsModelList = modelList(ListedTtsModel).meta({ id: 'TtsModelList' });
