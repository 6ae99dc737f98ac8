import { z } from 'zod';
import { ModelCard, type ParameterSchema } from './model-card.js';

const { name, label, status, deprecated_at, input_types } = ModelCard.shape;

/** A model that turns texts (or what `input_types` says) into vectors. */
export const EmbeddingModelCard = z
  .object({
    type: z.literal('embedding_model'),
    name,
    label,
    status,
    deprecated_at,
    input_types,
    context_size: z.int().positive().describe('Tokens of one input'),
    dimensions: z
      .array(z.int().positive())
      .min(1)
      .describe('Sizes of vector it can make; the first one is the default'),
  })
  .meta({ id: 'EmbeddingModelCard' });
export type EmbeddingModelCard = z.infer<typeof EmbeddingModelCard>;

/** A model that speaks a text. */
export const TtsModelCard = z
  .object({
    type: z.literal('tts_model'),
    name,
    label,
    status,
    deprecated_at,
    input_types,
    output_types: ModelCard.shape.output_types,
    voices: z.array(z.string().min(1)).describe('The first one is the default; empty: the provider has its own list'),
  })
  .meta({ id: 'TtsModelCard' });
export type TtsModelCard = z.infer<typeof TtsModelCard>;

/** The models that one kind of credential opens. */
export interface ModelCatalog {
  /** Parameters of a chat call as the provider takes them: what each card narrows, and what a model without a card is checked against. */
  readonly parameters: ParameterSchema;
  readonly chat: readonly ModelCard[];
  readonly embedding: readonly EmbeddingModelCard[];
  readonly tts: readonly TtsModelCard[];
}
