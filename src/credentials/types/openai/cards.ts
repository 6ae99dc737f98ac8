import {
  buildModelCard,
  THINKING_TYPE,
  type ModelCard,
  type ParameterSchema,
} from '../../../core/models/model-card.js';

/** What OpenAI's chat models may be asked; each card narrows it. */
export const OPENAI_PARAMETERS: ParameterSchema = {
  type: 'object',
  properties: {
    max_tokens: { title: 'Max tokens', type: ['integer', 'null'], minimum: 1, default: null },
    temperature: { title: 'Temperature', type: ['number', 'null'], minimum: 0, maximum: 2, default: null },
    top_p: { title: 'Top p', type: ['number', 'null'], exclusiveMinimum: 0, maximum: 1, default: null },
    reasoning_effort: {
      title: 'Reasoning effort',
      type: ['string', 'null'],
      enum: ['none', 'minimal', 'low', 'medium', 'high', 'xhigh', null],
      default: null,
    },
    parallel_tool_calls: { title: 'Parallel tool calls', type: 'boolean', default: true },
    voice: { title: 'Voice', type: 'string', default: 'alloy' },
  },
  required: [],
};

const HIDDEN = { hidden: true };
const IMAGES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];

type Facts = Partial<Pick<ModelCard, 'status' | 'input_types' | 'output_types' | 'parameters_overrides'>>;

function card(name: string, label: string, context_size: number, output_size: number, facts: Facts = {}): ModelCard {
  return buildModelCard(OPENAI_PARAMETERS, {
    name,
    label,
    status: facts.status ?? 'active',
    deprecated_at: null,
    input_types: facts.input_types ?? ['text/plain', ...IMAGES, 'application/pdf'],
    output_types: facts.output_types ?? ['text/plain'],
    context_size,
    output_size,
    parameters_overrides: { voice: HIDDEN, ...facts.parameters_overrides },
  });
}

const noEffort: Facts = { parameters_overrides: { reasoning_effort: HIDDEN } };
const thinking: Facts = { status: 'deprecated', output_types: ['text/plain', THINKING_TYPE] };

export const OPENAI_MODELS: readonly ModelCard[] = [
  card('gpt-5.6-luna', 'GPT-5.6 Luna', 1_050_000, 128_000),
  card('gpt-5.6-sol', 'GPT-5.6 Sol', 1_050_000, 128_000),
  card('gpt-5.6-terra', 'GPT-5.6 Terra', 1_050_000, 128_000),
  card('gpt-5.5', 'GPT-5.5', 1_050_000, 128_000, noEffort),
  card('gpt-5.4', 'GPT-5.4', 1_050_000, 128_000),
  card('gpt-4.1', 'GPT-4.1', 1_047_576, 32_768),
  card('gpt-4.1-mini', 'GPT-4.1 Mini', 1_047_576, 32_768, noEffort),
  card('gpt-4.1-nano', 'GPT-4.1 Nano', 1_047_576, 32_768, { ...noEffort, status: 'deprecated' }),
  card('gpt-4o', 'GPT-4o', 128_000, 16_384, noEffort),
  card('gpt-4o-mini', 'GPT-4o Mini', 128_000, 16_384, noEffort),
  card('gpt-audio-mini', 'GPT Audio Mini', 128_000, 16_384, {
    status: 'deprecated',
    input_types: ['text/plain', 'audio/wav', 'audio/mp3'],
    output_types: ['text/plain', 'audio/wav'],
    parameters_overrides: {
      voice: { default: 'alloy', enum: ['alloy', 'echo', 'nova', 'shimmer', 'sage', 'verse'] },
    },
  }),
  card('o3', 'o3', 200_000, 100_000, thinking),
  card('o4-mini', 'o4-mini', 200_000, 100_000, thinking),
];
