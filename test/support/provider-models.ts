import { createAlibaba } from '@ai-sdk/alibaba';
import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createAzure } from '@ai-sdk/azure';
import { createDeepSeek } from '@ai-sdk/deepseek';
import { createGoogle } from '@ai-sdk/google';
import { createMoonshotAI } from '@ai-sdk/moonshotai';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import type { LanguageModelV4 } from '@ai-sdk/provider';
import { createXai } from '@ai-sdk/xai';
import { createOllama } from 'ollama-ai-provider-v2';
import type { ChatModel } from '../../src/core/models/chat-model.js';
import { anthropicModelOptions } from '../../src/credentials/types/anthropic/provider-options.js';
import { azureModelOptions } from '../../src/credentials/types/azure_openai/provider-options.js';
import { bedrockModelOptions } from '../../src/credentials/types/bedrock/provider-options.js';
import type { ModelRef } from '../../src/credentials/types/credential-type.js';
import { dashScopeModelOptions } from '../../src/credentials/types/dashscope/provider-options.js';
import { deepSeekModelOptions } from '../../src/credentials/types/deepseek/provider-options.js';
import { geminiModelOptions } from '../../src/credentials/types/gemini/provider-options.js';
import { moonshotModelOptions } from '../../src/credentials/types/moonshot/provider-options.js';
import { ollamaFetch } from '../../src/credentials/types/ollama/ollama-fetch.js';
import { ollamaModelOptions } from '../../src/credentials/types/ollama/provider-options.js';
import { OPENAI_AUDIO_NAME, openAiAudioModelOptions } from '../../src/credentials/types/openai/audio-options.js';
import { openAiModelOptions } from '../../src/credentials/types/openai/provider-options.js';
import {
  OPENAI_COMPATIBLE_NAME,
  openAiCompatibleModelOptions,
} from '../../src/credentials/types/openai_compatible/provider-options.js';
import { xaiModelOptions } from '../../src/credentials/types/xai/provider-options.js';
import { AiSdkChatModel } from '../../src/models/ai-sdk/ai-sdk-model.js';
import type { AiSdkModelOptions, ModelTimeouts } from '../../src/models/ai-sdk/options.js';

interface Made {
  readonly model: LanguageModelV4;
  readonly options: AiSdkModelOptions;
}

type Make = (baseURL: string, ref: ModelRef, fetch: typeof globalThis.fetch) => Made;

const apiKey = 'sk-test';

/** Every way in which a model is called, with the path its API has on a server, and a model that has everything. */
export const PROVIDERS = {
  openai_responses: {
    path: '/v1',
    model: 'gpt-5.5',
    make: (baseURL, ref, fetch) => ({
      model: createOpenAI({ apiKey, baseURL, fetch }).responses(ref.name),
      options: openAiModelOptions(ref, 'responses'),
    }),
  },
  openai_chat: {
    path: '/v1',
    model: 'gpt-4.1',
    make: (baseURL, ref, fetch) => ({
      model: createOpenAI({ apiKey, baseURL, fetch }).chat(ref.name),
      options: openAiModelOptions(ref, 'chat'),
    }),
  },
  openai_audio: {
    path: '/v1',
    model: 'gpt-audio-mini',
    make: (baseURL, ref, fetch) => ({
      model: createOpenAICompatible({ name: OPENAI_AUDIO_NAME, apiKey, baseURL, includeUsage: true, fetch })(ref.name),
      options: openAiAudioModelOptions(ref),
    }),
  },
  azure_openai: {
    path: '/openai',
    model: 'gpt-5.5',
    make: (baseURL, ref, fetch) => ({
      model: createAzure({ apiKey, baseURL, fetch }).responses(ref.name),
      options: azureModelOptions(ref, 'responses'),
    }),
  },
  azure_openai_dated: {
    path: '/openai',
    model: 'gpt-4.1',
    make: (baseURL, ref, fetch) => ({
      model: createAzure({
        apiKey,
        baseURL,
        apiVersion: '2024-10-21',
        useDeploymentBasedUrls: true,
        fetch,
      }).chat(ref.name),
      options: azureModelOptions(ref, 'chat'),
    }),
  },
  anthropic: {
    path: '/v1',
    model: 'claude-opus-4-6',
    make: (baseURL, ref, fetch) => ({
      model: createAnthropic({ apiKey, baseURL, fetch })(ref.name),
      options: anthropicModelOptions(ref),
    }),
  },
  gemini: {
    path: '/v1beta',
    model: 'gemini-2.5-flash',
    make: (baseURL, ref, fetch) => ({
      model: createGoogle({ apiKey, baseURL, fetch })(ref.name),
      options: geminiModelOptions(ref),
    }),
  },
  dashscope: {
    path: '/compatible-mode/v1',
    model: 'qwen3.6-plus',
    make: (baseURL, ref, fetch) => ({
      model: createAlibaba({ apiKey, baseURL, fetch })(ref.name),
      options: dashScopeModelOptions(ref),
    }),
  },
  deepseek: {
    path: '',
    model: 'deepseek-v4-pro',
    make: (baseURL, ref, fetch) => ({
      model: createDeepSeek({ apiKey, baseURL, fetch })(ref.name),
      options: deepSeekModelOptions(ref),
    }),
  },
  moonshot: {
    path: '/v1',
    model: 'kimi-k2.6',
    make: (baseURL, ref, fetch) => ({
      model: createMoonshotAI({ apiKey, baseURL, fetch })(ref.name),
      options: moonshotModelOptions(ref),
    }),
  },
  xai: {
    path: '/v1',
    model: 'grok-4.3',
    make: (baseURL, ref, fetch) => ({
      model: createXai({ apiKey, baseURL, fetch })(ref.name),
      options: xaiModelOptions(ref),
    }),
  },
  ollama: {
    path: '/api',
    model: 'qwen3.5',
    make: (baseURL, ref, fetch) => ({
      model: createOllama({ baseURL, fetch: ollamaFetch(fetch) })(ref.name),
      options: ollamaModelOptions(ref),
    }),
  },
  openai_compatible: {
    path: '/v1',
    model: 'some-model',
    make: (baseURL, ref, fetch) => ({
      model: createOpenAICompatible({ name: OPENAI_COMPATIBLE_NAME, apiKey, baseURL, includeUsage: true, fetch })(
        ref.name,
      ),
      options: openAiCompatibleModelOptions(ref),
    }),
  },
  bedrock: {
    path: '',
    model: 'anthropic.claude-opus-4-6-v1',
    make: (baseURL, ref, fetch) => ({
      model: createAmazonBedrock({ region: 'us-east-1', apiKey, baseURL, fetch })(ref.name),
      options: bedrockModelOptions(ref),
    }),
  },
} satisfies Record<string, { path: string; model: string; make: Make }>;

export type ProviderName = keyof typeof PROVIDERS;

export interface ModelSettings {
  readonly model?: string;
  readonly card?: ModelRef['card'];
  readonly fetch?: typeof globalThis.fetch;
  readonly timeouts?: ModelTimeouts;
}

/** The model of a provider as the service calls it, on a server at `url`. */
export function modelAt(provider: ProviderName, url: string, settings: ModelSettings = {}): ChatModel {
  const { path, model: usual, make } = PROVIDERS[provider];
  const { model: name = usual, card = null, fetch = globalThis.fetch, timeouts } = settings;
  const { model, options } = make(`${url}${path}`, { name, card }, fetch);
  return new AiSdkChatModel(model, { ...options, timeouts });
}
