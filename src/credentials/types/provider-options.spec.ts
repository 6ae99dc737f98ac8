import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callOf, fail, TOOLS } from '../../../test/support/model-calls.js';
import { modelAt, type ProviderName } from '../../../test/support/provider-models.js';
import { json, RecordingServer } from '../../../test/support/recording-server.js';

/** Everything below is what a server gets, not what a package is told. */
let server: RecordingServer;
beforeAll(async () => {
  server = await RecordingServer.start(json(400, { error: { message: 'seen' } }));
});
afterAll(() => server.stop());

async function wire(provider: ProviderName, parameters: object, model?: string, tools = TOOLS): Promise<object> {
  const { error } = await fail(
    modelAt(provider, server.url, { model }),
    callOf({ parameters: { ...parameters }, tools }),
  );
  expect(error.type).toBe('invalid_request');
  const { body } = server.last;
  if (body === undefined) throw new Error('no body');
  return body;
}

const SAMPLING = { max_tokens: 5000, temperature: 0.5, top_p: 0.9 };
const PLAIN = { max_tokens: 5000, temperature: 0.5, top_p: 0.9 };

type Case = [provider: ProviderName, parameters: object, expected: object, model?: string];

const CASES: Case[] = [
  [
    'openai_audio',
    { ...SAMPLING, voice: 'nova' },
    { ...PLAIN, modalities: ['text', 'audio'], audio: { voice: 'nova', format: 'pcm16' } },
  ],
  ['openai_audio', {}, { audio: { voice: 'alloy', format: 'pcm16' } }],
  ['openai_chat', SAMPLING, PLAIN],
  ['openai_chat', { parallel_tool_calls: false }, { parallel_tool_calls: false }],
  [
    'openai_chat',
    { reasoning_effort: 'high', max_tokens: 9 },
    { reasoning_effort: 'high', max_completion_tokens: 9 },
    'o3',
  ],
  [
    'openai_responses',
    { max_tokens: 5000, reasoning_effort: 'low' },
    { max_output_tokens: 5000, reasoning: { effort: 'low' }, store: false, include: ['reasoning.encrypted_content'] },
  ],
  [
    'openai_responses',
    { reasoning_effort: 'low', thinking_enable: true },
    { reasoning: { effort: 'low', summary: 'auto' } },
  ],
  ['openai_responses', { reasoning_effort: 'low', thinking_enable: false }, { reasoning: { effort: 'low' } }],
  [
    'openai_responses',
    { parallel_tool_calls: false, temperature: 0.5 },
    { parallel_tool_calls: false, temperature: 0.5 },
    'gpt-4.1',
  ],
  [
    'azure_openai',
    { reasoning_effort: 'low', parallel_tool_calls: true },
    { reasoning: { effort: 'low' }, parallel_tool_calls: true, store: false },
  ],
  ['azure_openai_dated', { ...SAMPLING, parallel_tool_calls: false }, { ...PLAIN, parallel_tool_calls: false }],
  ['anthropic', { max_tokens: 5000, temperature: 0.5, top_k: 7 }, { max_tokens: 5000, temperature: 0.5, top_k: 7 }],
  [
    'anthropic',
    { thinking_mode: 'adaptive', thinking_display: 'omitted', reasoning_effort: 'max' },
    { thinking: { type: 'adaptive', display: 'omitted' }, output_config: { effort: 'max' } },
  ],
  [
    'anthropic',
    { max_tokens: 5000, thinking_mode: 'enabled', thinking_budget: 2048 },
    { thinking: { type: 'enabled', budget_tokens: 2048 }, max_tokens: 7048 },
  ],
  ['anthropic', { thinking_mode: 'disabled' }, { thinking: { type: 'disabled' } }],
  [
    'anthropic',
    { thinking_enable: true, thinking_budget: 4096 },
    { thinking: { type: 'enabled', budget_tokens: 4096 } },
    'claude-haiku-4-5',
  ],
  ['anthropic', { thinking_enable: true }, { thinking: { type: 'enabled', budget_tokens: 1024 } }, 'claude-haiku-4-5'],
  ['anthropic', { parallel_tool_calls: false }, { tool_choice: { type: 'auto', disable_parallel_tool_use: true } }],
  [
    'gemini',
    { max_tokens: 5000, temperature: 0.5, top_p: 0.9 },
    { generationConfig: { maxOutputTokens: 5000, temperature: 0.5, topP: 0.9 } },
  ],
  [
    'gemini',
    { thinking_enable: true, thinking_budget: 100 },
    { generationConfig: { thinkingConfig: { includeThoughts: true, thinkingBudget: 100 } } },
  ],
  [
    'gemini',
    { thinking_enable: false, thinking_budget: 100 },
    { generationConfig: { thinkingConfig: { includeThoughts: false, thinkingBudget: 0 } } },
  ],
  [
    'gemini',
    { thinking_enable: false },
    { generationConfig: { thinkingConfig: { includeThoughts: false } } },
    'gemini-2.5-pro',
  ],
  ['dashscope', { ...SAMPLING, top_k: 7 }, { ...PLAIN, top_k: 7 }],
  [
    'dashscope',
    { thinking_enable: true, thinking_budget: 100, parallel_tool_calls: false },
    { enable_thinking: true, thinking_budget: 100, parallel_tool_calls: false },
  ],
  ['dashscope', { thinking_enable: false }, { enable_thinking: false }],
  [
    'deepseek',
    { thinking_enable: true, reasoning_effort: 'max' },
    { thinking: { type: 'enabled' }, reasoning_effort: 'max' },
  ],
  ['deepseek', { thinking_enable: false, ...SAMPLING }, { thinking: { type: 'disabled' }, ...PLAIN }],
  ['moonshot', { thinking_enable: false, max_tokens: 9 }, { thinking: { type: 'disabled' }, max_completion_tokens: 9 }],
  ['moonshot', { thinking_enable: true }, { thinking: { type: 'enabled' } }],
  ['moonshot', { reasoning_effort: 'low' }, { reasoning_effort: 'low' }, 'kimi-k3'],
  ['moonshot', { temperature: 0.5, top_p: 0.9 }, { temperature: 0.5, top_p: 0.9 }, 'moonshot-v1-8k'],
  [
    'xai',
    { ...SAMPLING, reasoning_effort: 'high' },
    {
      max_output_tokens: 5000,
      temperature: 0.5,
      top_p: 0.9,
      reasoning: { effort: 'high' },
      store: false,
      include: ['reasoning.encrypted_content'],
    },
  ],
  ['xai', { parallel_tool_calls: false }, { parallel_tool_calls: false }],
  [
    'ollama',
    { ...SAMPLING, top_k: 7, thinking_enable: true },
    { think: true, options: { num_predict: 5000, temperature: 0.5, top_p: 0.9, top_k: 7 } },
  ],
  ['ollama', { thinking_enable: false }, { think: false }],
  [
    'openai_compatible',
    { ...SAMPLING, top_k: 7, reasoning_effort: 'low', parallel_tool_calls: false },
    {
      ...PLAIN,
      top_k: 7,
      reasoning_effort: 'low',
      parallel_tool_calls: false,
      stream_options: { include_usage: true },
    },
  ],
  ['bedrock', { max_tokens: 5000, temperature: 0.5 }, { inferenceConfig: { maxTokens: 5000, temperature: 0.5 } }],
  [
    'bedrock',
    { max_tokens: 5000, thinking_enable: true, thinking_budget: 2048 },
    { additionalModelRequestFields: { thinking: { type: 'enabled', budget_tokens: 2048 } } },
  ],
  [
    'bedrock',
    { thinking_mode: 'adaptive', reasoning_effort: 'low' },
    { additionalModelRequestFields: { thinking: { type: 'adaptive' }, output_config: { effort: 'low' } } },
  ],
];

describe('the parameters of a call', () => {
  // Rows of one length: Jest hands a callback to a test that takes more than its row has.
  it.each(
    CASES.map(
      ([provider, parameters, expected, model = undefined]) => [provider, parameters, expected, model] as const,
    ),
  )('%s %j', async (provider, parameters, expected, model) => {
    expect(await wire(provider, parameters, model)).toMatchObject(expected);
  });

  const UNSET = [
    'thinking',
    'reasoning',
    'reasoning_effort',
    'enable_thinking',
    'thinking_budget',
    'parallel_tool_calls',
    'temperature',
    'top_p',
    'top_k',
    'generationConfig',
    'additionalModelRequestFields',
    'inferenceConfig',
    'output_config',
  ];
  const EMPTY = { max_tokens: null, temperature: null, top_p: null, thinking_budget: null, reasoning_effort: null };

  it.each<ProviderName>([
    'openai_chat',
    'openai_responses',
    'azure_openai',
    'anthropic',
    'dashscope',
    'deepseek',
    'moonshot',
    'xai',
    'openai_compatible',
    'bedrock',
  ])('%s: what is not set is left to the provider', async (provider) => {
    for (const parameters of [{}, EMPTY]) {
      const body = await wire(provider, parameters, provider === 'openai_responses' ? 'gpt-4.1' : undefined);
      expect(Object.keys(body).filter((key) => UNSET.includes(key))).toEqual([]);
    }
  });

  it.each<ProviderName>([
    'openai_chat',
    'openai_responses',
    'azure_openai',
    'anthropic',
    'dashscope',
    'xai',
    'openai_compatible',
  ])('%s: nothing is said of parallel calls where there are no tools', async (provider) => {
    const body = JSON.stringify(await wire(provider, { parallel_tool_calls: false }, undefined, []));
    expect(body).not.toContain('parallel');
  });
});
