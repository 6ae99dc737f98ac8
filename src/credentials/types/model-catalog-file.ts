import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { parseDocument } from 'yaml';
import { z } from 'zod';
import {
  buildModelCard,
  ModelCard,
  ModelPrices,
  ParameterOverrides,
  ParameterSchema,
} from '../../core/models/model-card.js';
import { EmbeddingModelCard, type ModelCatalog, TtsModelCard } from '../../core/models/model-catalog.js';
import { catalogFaults } from './catalog-faults.js';

const { name, label, status, context_size, output_size } = ModelCard.shape;
const MediaTypes = z.array(z.string().regex(/^[a-z]+\/[a-z0-9.+-]+$/, 'must be a media type')).min(1);

const head = {
  name,
  label,
  status: status.default('active'),
  deprecated_at: z.iso.date().nullable().default(null),
};
const text = ['text/plain'];

const ChatModel = z.strictObject({
  ...head,
  input_types: MediaTypes.default(text),
  output_types: MediaTypes.default(text),
  context_size,
  output_size,
  parameter_overrides: ParameterOverrides.default({}),
  prices: z
    .strictObject({
      ...ModelPrices.shape,
      cache_input: ModelPrices.shape.cache_input.default(null),
      cache_creation: ModelPrices.shape.cache_creation.default(null),
    })
    .nullable()
    .default(null),
});
type ChatModel = z.infer<typeof ChatModel>;

const { dimensions } = EmbeddingModelCard.shape;
const EmbeddingModel = z.strictObject({ ...head, input_types: MediaTypes.default(text), context_size, dimensions });

const { voices } = TtsModelCard.shape;
const TtsModel = z.strictObject({
  ...head,
  input_types: MediaTypes.default(text),
  output_types: MediaTypes,
  voices: voices.default([]),
});

/** A models.yaml: what docs/models.md describes. */
const CatalogFile = z.strictObject({
  parameters: ParameterSchema.shape.properties,
  required: z.array(z.string()).default([]),
  chat_models: z.array(ChatModel).default([]),
  embedding_models: z.array(EmbeddingModel).default([]),
  tts_models: z.array(TtsModel).default([]),
});

export class ModelCatalogError extends Error {
  override readonly name = 'ModelCatalogError';
}

/**
 * Reads the catalogue of a credential type from a YAML file. Throws a `ModelCatalogError` that names the file, the model and the path
 * of whatever is wrong in it, so that a service with a faulty catalogue does not start.
 */
export function loadModelCatalog(file: URL | string): ModelCatalog {
  const path = file instanceof URL ? fileURLToPath(file) : file;
  const faults: string[] = [];
  const catalog = parseModelCatalog(readText(path), faults);
  if (!catalog || faults.length > 0) throw new ModelCatalogError([`${path} is not valid:`, ...faults].join('\n  '));
  return catalog;
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ModelCatalogError(`${path} cannot be read.`, { cause: error });
  }
}

function parseModelCatalog(text: string, faults: string[]): ModelCatalog | null {
  const document = parseDocument(text, { uniqueKeys: true });
  if (document.errors.length > 0) {
    faults.push(...document.errors.map((error) => error.message));
    return null;
  }
  const raw: unknown = document.toJS();
  const parsed = CatalogFile.safeParse(raw);
  if (!parsed.success) {
    faults.push(...parsed.error.issues.map((issue) => `${placeOf(raw, issue.path)}: ${issue.message}`));
    return null;
  }
  const { required, chat_models, embedding_models, tts_models } = parsed.data;
  const parameters: ParameterSchema = { type: 'object', properties: parsed.data.parameters, required };
  const catalog: ModelCatalog = {
    parameters,
    chat: chat_models.map(({ parameter_overrides, ...facts }) =>
      buildModelCard(parameters, { ...facts, parameters_overrides: parameter_overrides }),
    ),
    embedding: embedding_models.map((model) => ({ type: 'embedding_model', ...model })),
    tts: tts_models.map((model) => ({ type: 'tts_model', ...model })),
  };
  faults.push(...chat_models.flatMap((model) => unknownOverrides(model, parameters)), ...catalogFaults(catalog));
  return catalog;
}

/** `chat_models.3.status` as `chat_models "gpt-x".status`. */
function placeOf(raw: unknown, path: readonly PropertyKey[]): string {
  const [list, index, ...rest] = path;
  const model = typeof index === 'number' ? at(at(raw, list), index) : undefined;
  const given = at(model, 'name');
  if (list === undefined) return 'the file';
  if (typeof given !== 'string') return path.map(String).join('.');
  return [`${String(list)} "${given}"`, ...rest.map(String)].join('.');
}

function at(value: unknown, key: PropertyKey | undefined): unknown {
  if (typeof value !== 'object' || value === null || key === undefined) return undefined;
  return (value as Record<PropertyKey, unknown>)[key];
}

/** A misspelt override would narrow nothing. */
function unknownOverrides(model: ChatModel, parameters: ParameterSchema): string[] {
  return Object.keys(model.parameter_overrides)
    .filter((key) => !(key in parameters.properties))
    .map((key) => `chat_models "${model.name}".parameter_overrides.${key}: there is no such parameter`);
}
