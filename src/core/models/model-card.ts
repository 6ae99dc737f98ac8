import { z } from 'zod';

/** JSON Schema (draft 2020-12) of an object: what a form shows and a validator checks. */
export const ParameterSchema = z
  .object({
    type: z.literal('object'),
    properties: z.record(z.string(), z.record(z.string(), z.unknown())),
    required: z.array(z.string()),
  })
  .meta({ id: 'ParameterSchema' });
export type ParameterSchema = z.infer<typeof ParameterSchema>;

/** Per parameter: null or `{hidden: true}` takes it away, anything else is laid over the provider's schema of it. */
export const ParameterOverrides = z.record(z.string(), z.record(z.string(), z.unknown()).nullable());
export type ParameterOverrides = z.infer<typeof ParameterOverrides>;

const Price = z.number().nonnegative();

/** What the provider asks for a million tokens. */
export const ModelPrices = z
  .object({
    currency: z.string().regex(/^[A-Z]{3}$/, 'must be an ISO 4217 code'),
    input: Price,
    output: Price,
    cache_input: Price.nullable().describe('Input read from a cache; null: not told apart from other input'),
    cache_creation: Price.nullable().describe('Input written to a cache; null: not told apart from other input'),
  })
  .meta({ id: 'ModelPrices', description: 'Per million tokens' });
export type ModelPrices = z.infer<typeof ModelPrices>;

/** What is known of one model: media types it reads and writes, its sizes in tokens, and the parameters a call may carry. */
export const ModelCard = z
  .object({
    type: z.literal('chat_model'),
    name: z.string().min(1).max(256),
    label: z.string().min(1),
    status: z.enum(['active', 'deprecated', 'sunset']),
    deprecated_at: z.string().nullable(),
    input_types: z.array(z.string()),
    output_types: z.array(z.string()),
    context_size: z.int().positive(),
    output_size: z.int().positive(),
    parameter_schema: ParameterSchema,
    parameters_overrides: ParameterOverrides,
    prices: ModelPrices.nullable().describe('null: not known'),
  })
  .meta({ id: 'ModelCard' });
export type ModelCard = z.infer<typeof ModelCard>;
export type ModelStatus = ModelCard['status'];

export type ModelCardFacts = Pick<ModelCard, 'output_types' | 'output_size' | 'parameters_overrides'>;

export const THINKING_TYPE = 'application/x-thinking';

/**
 * The parameters of one model from those of its provider: `thinking_*` only for models that think aloud, `voice` only for models that
 * speak, `max_tokens` bounded by the model's output, then the card's overrides. An override never brings back what the rules removed.
 */
export function mergeParameterSchema(base: ParameterSchema, card: ModelCardFacts): ParameterSchema {
  const thinks = card.output_types.includes(THINKING_TYPE);
  const speaks = card.output_types.some((type) => type.startsWith('audio/'));
  const properties: ParameterSchema['properties'] = {};
  for (const [name, schema] of Object.entries(base.properties)) {
    if (name.startsWith('thinking_') && !thinks) continue;
    if (name === 'voice' && !speaks) continue;
    const override = card.parameters_overrides[name];
    if (override === null || override?.hidden === true) continue;
    const bounded = name === 'max_tokens' ? { ...schema, maximum: card.output_size } : schema;
    properties[name] = override ? { ...bounded, ...override } : bounded;
  }
  return { type: 'object', properties, required: base.required.filter((name) => name in properties) };
}

/** What a call carries of parameters that nobody set: the defaults that the card names. */
export function defaultParameters({ parameter_schema }: ModelCard): Record<string, unknown> {
  const defaults = Object.entries(parameter_schema.properties).map(([name, schema]) => [name, schema.default] as const);
  return Object.fromEntries(defaults.filter(([, value]) => value !== undefined && value !== null));
}

/** A card whose parameter schema follows from its provider's. */
export function buildModelCard(base: ParameterSchema, facts: Omit<ModelCard, 'type' | 'parameter_schema'>): ModelCard {
  return { type: 'chat_model', ...facts, parameter_schema: mergeParameterSchema(base, facts) };
}
