import { describe, expect, it } from '@jest/globals';
import {
  buildModelCard,
  defaultParameters,
  mergeParameterSchema,
  ModelCard,
  type ModelCardFacts,
  type ParameterSchema,
} from './model-card.js';

const base: ParameterSchema = {
  type: 'object',
  properties: {
    max_tokens: { type: 'integer', minimum: 1 },
    thinking_enable: { type: 'boolean', default: false },
    temperature: { type: 'number', maximum: 2 },
    voice: { type: 'string' },
  },
  required: ['temperature', 'voice'],
};

function merge(facts: Partial<ModelCardFacts>): ParameterSchema {
  return mergeParameterSchema(base, {
    output_types: ['text/plain'],
    output_size: 100,
    parameters_overrides: {},
    ...facts,
  });
}

describe('mergeParameterSchema', () => {
  it.each<[string, Partial<ModelCardFacts>, string[]]>([
    ['drops thinking and voice from a plain model', {}, ['max_tokens', 'temperature']],
    [
      'keeps thinking for a model that thinks aloud',
      { output_types: ['text/plain', 'application/x-thinking'] },
      ['max_tokens', 'thinking_enable', 'temperature'],
    ],
    ['keeps voice for a model that speaks', { output_types: ['audio/wav'] }, ['max_tokens', 'temperature', 'voice']],
    ['removes by null', { parameters_overrides: { temperature: null } }, ['max_tokens']],
    ['removes by hidden', { parameters_overrides: { temperature: { hidden: true } } }, ['max_tokens']],
    [
      'never brings back',
      { parameters_overrides: { voice: { default: 'x' }, other: {} } },
      ['max_tokens', 'temperature'],
    ],
  ])('%s', (_, facts, names) => {
    const schema = merge(facts);
    expect(Object.keys(schema.properties)).toEqual(names);
    expect(schema.required).toEqual(base.required.filter((name) => names.includes(name)));
  });

  it('bounds max_tokens by the output and lays overrides over it', () => {
    expect(merge({}).properties.max_tokens).toEqual({ type: 'integer', minimum: 1, maximum: 100 });
    expect(merge({ parameters_overrides: { max_tokens: { maximum: 50, default: 9 } } }).properties.max_tokens).toEqual({
      type: 'integer',
      minimum: 1,
      maximum: 50,
      default: 9,
    });
    expect(base.properties.max_tokens).toEqual({ type: 'integer', minimum: 1 });
  });

  it('builds cards that are valid', () => {
    const card = buildModelCard(base, {
      name: 'm',
      label: 'M',
      status: 'active',
      deprecated_at: null,
      input_types: ['text/plain'],
      output_types: ['text/plain'],
      context_size: 10,
      output_size: 5,
      parameters_overrides: { temperature: null },
      prices: { currency: 'USD', input: 2.5, output: 10, cache_input: 1.25, cache_creation: null },
    });
    expect(ModelCard.parse(card)).toEqual(card);
    expect(ModelCard.safeParse({ ...card, output_size: 0 }).success).toBe(false);
    expect(ModelCard.safeParse({ ...card, prices: { ...card.prices, input: -1 } }).success).toBe(false);
    expect(ModelCard.safeParse({ ...card, prices: null }).success).toBe(true);
  });

  it('tells the defaults that a call carries', () => {
    const facts = { output_types: ['text/plain', 'application/x-thinking'] };
    const overrides = { temperature: { default: null }, max_tokens: { default: 9 }, voice: null };
    const card = { parameter_schema: merge({ ...facts, parameters_overrides: overrides }) } as ModelCard;
    expect(defaultParameters(card)).toEqual({ thinking_enable: false, max_tokens: 9 });
  });
});
