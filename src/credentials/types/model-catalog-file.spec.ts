import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import type { ModelCatalog } from '../../core/models/model-catalog.js';
import { loadModelCatalog, ModelCatalogError } from './model-catalog-file.js';

const PARAMETERS = `
parameters:
  max_tokens: { type: [integer, 'null'], minimum: 1, default: null }
  thinking_enable: { type: boolean, default: false }
  effort: { type: string, enum: [low, high], default: low }
`;
const MODEL = '{ name: m-1, label: M, context_size: 10, output_size: 5 }';

describe('loadModelCatalog', () => {
  let folder: string;
  let file: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'catalog-'));
    file = join(folder, 'models.yaml');
  });
  afterAll(() => rm(folder, { recursive: true }));

  async function load(text: string): Promise<ModelCatalog> {
    await writeFile(file, text);
    return loadModelCatalog(pathToFileURL(file));
  }

  it('merges each card with the parameters of the type', async () => {
    const catalog = await load(`${PARAMETERS}
required: [effort]
chat_models:
  - name: vendor/m:1.5
    label: M
    status: deprecated
    deprecated_at: 2026-01-31
    context_size: 1000
    output_size: 50
    input_types: [text/plain, image/png]
    parameter_overrides: { effort: { enum: [low] } }
    prices: { currency: USD, input: 1, output: 2 }
`);
    expect(catalog.parameters.required).toEqual(['effort']);
    expect(catalog.chat).toEqual([
      {
        type: 'chat_model',
        name: 'vendor/m:1.5',
        label: 'M',
        status: 'deprecated',
        deprecated_at: '2026-01-31',
        input_types: ['text/plain', 'image/png'],
        output_types: ['text/plain'],
        context_size: 1000,
        output_size: 50,
        parameter_schema: {
          type: 'object',
          properties: {
            max_tokens: { type: ['integer', 'null'], minimum: 1, default: null, maximum: 50 },
            effort: { type: 'string', enum: ['low'], default: 'low' },
          },
          required: ['effort'],
        },
        parameters_overrides: { effort: { enum: ['low'] } },
        prices: { currency: 'USD', input: 1, output: 2, cache_input: null, cache_creation: null },
      },
    ]);
  });

  it('knows models that embed and models that speak', async () => {
    const catalog = await load(`parameters: {}
embedding_models: [{ name: e, label: E, context_size: 8, dimensions: [4, 2] }]
tts_models: [{ name: t, label: T, output_types: [audio/wav], voices: [anna] }]
`);
    const head = { status: 'active', deprecated_at: null, input_types: ['text/plain'] };
    expect(catalog).toEqual({
      parameters: { type: 'object', properties: {}, required: [] },
      chat: [],
      embedding: [{ type: 'embedding_model', name: 'e', label: 'E', ...head, context_size: 8, dimensions: [4, 2] }],
      tts: [{ type: 'tts_model', name: 't', label: 'T', ...head, output_types: ['audio/wav'], voices: ['anna'] }],
    });
  });

  it.each([
    ['no YAML', 'parameters: [', 'Flow sequence'],
    ['a key twice', 'parameters: {}\nparameters: {}', 'Map keys must be unique'],
    ['nothing', '', 'the file: '],
    ['an unknown list', 'parameters: {}\nimage_models: []', 'Unrecognized key: "image_models"'],
    ['a model without a name', `${PARAMETERS}chat_models: [{ label: M }]`, 'chat_models.0.name: '],
    ['a wrong field', `${PARAMETERS}chat_models: [${MODEL.replace('10', '-1')}]`, 'chat_models "m-1".context_size: '],
    ['a misspelt field', `${PARAMETERS}chat_models: [${MODEL.replace('10', '10, inputs: []')}]`, 'chat_models "m-1": '],
    [
      'no media type',
      `${PARAMETERS}chat_models: [${MODEL.replace('10', '10, input_types: [text]')}]`,
      'chat_models "m-1".input_types.0: must be a media type',
    ],
    [
      'an override of nothing',
      `${PARAMETERS}chat_models: [${MODEL.replace('10', '10, parameter_overrides: { efort: null }')}]`,
      'chat_models "m-1".parameter_overrides.efort: there is no such parameter',
    ],
    [
      'an override that excludes its default',
      `${PARAMETERS}chat_models: [${MODEL.replace('10', '10, parameter_overrides: { effort: { enum: [high] } }')}]`,
      'chat_models "m-1".effort.default: ',
    ],
    ['a parameter that is no schema', 'parameters: { a: { type: text } }', 'parameters.a: '],
    ['a default that does not fit', 'parameters: { a: { type: integer, default: x } }', 'parameters.a.default: '],
    ['a required parameter that is missing', 'parameters: {}\nrequired: [a]', 'parameters: requires "a"'],
    ['a model twice', `${PARAMETERS}chat_models: [${MODEL}, ${MODEL}]`, 'chat_models "m-1": listed twice'],
    [
      'a price in no currency',
      `${PARAMETERS}chat_models: [${MODEL.replace('10', '10, prices: { currency: dollars, input: 1, output: 1 }')}]`,
      'chat_models "m-1".prices.currency: ',
    ],
  ])('refuses %s, saying where', async (_, text, place) => {
    const error: unknown = await load(text).catch((it: unknown) => it);
    expect(error).toBeInstanceOf(ModelCatalogError);
    expect((error as Error).message).toContain(`${file} is not valid:`);
    expect((error as Error).message).toContain(place);
  });

  it('names a file that is not there', () => {
    const missing = join(folder, 'missing.yaml');
    expect(() => loadModelCatalog(missing)).toThrow(`${missing} cannot be read.`);
  });
});
