import type { ChatModel } from '../../src/core/models/chat-model.js';
import { anthropicCredentialType } from '../../src/credentials/types/anthropic/anthropic.type.js';
import { azureOpenAiCredentialType } from '../../src/credentials/types/azure_openai/azure_openai.type.js';
import { bedrockCredentialType } from '../../src/credentials/types/bedrock/bedrock.type.js';
import type { CredentialType, ModelRef } from '../../src/credentials/types/credential-type.js';
import { dashScopeCredentialType } from '../../src/credentials/types/dashscope/dashscope.type.js';
import { deepSeekCredentialType } from '../../src/credentials/types/deepseek/deepseek.type.js';
import { geminiCredentialType } from '../../src/credentials/types/gemini/gemini.type.js';
import { moonshotCredentialType } from '../../src/credentials/types/moonshot/moonshot.type.js';
import { ollamaCredentialType } from '../../src/credentials/types/ollama/ollama.type.js';
import { openAiCredentialType } from '../../src/credentials/types/openai/openai.type.js';
import { openAiCompatibleCredentialType } from '../../src/credentials/types/openai_compatible/openai_compatible.type.js';
import { xaiCredentialType } from '../../src/credentials/types/xai/xai.type.js';

interface Way {
  readonly type: CredentialType;
  /** A model that has everything. */
  readonly model: string;
  /** The fields of a credential for a server at this URL. */
  readonly fields: (url: string) => Record<string, string>;
  /** The one host that a type calls when it takes no URL: calls to it go to the server. */
  readonly host?: string;
}

const api_key = 'sk-test';

/** Every way in which a model is called. */
export const PROVIDERS = {
  openai_responses: {
    type: openAiCredentialType,
    model: 'gpt-5.5',
    fields: () => ({ api_key }),
    host: 'api.openai.com',
  },
  openai_audio: {
    type: openAiCredentialType,
    model: 'gpt-audio-mini',
    fields: () => ({ api_key }),
    host: 'api.openai.com',
  },
  openai_chat: {
    type: openAiCredentialType,
    model: 'gpt-4.1',
    fields: (url) => ({ api_key, base_url: `${url}/v1` }),
  },
  azure_openai: {
    type: azureOpenAiCredentialType,
    model: 'gpt-5.5',
    fields: (url) => ({ api_key, base_url: `${url}/openai` }),
  },
  azure_openai_dated: {
    type: azureOpenAiCredentialType,
    model: 'gpt-4.1',
    fields: (url) => ({ api_key, base_url: `${url}/openai`, api_version: '2024-10-21' }),
  },
  anthropic: {
    type: anthropicCredentialType,
    model: 'claude-opus-4-6',
    fields: (url) => ({ api_key, base_url: `${url}/v1` }),
  },
  gemini: {
    type: geminiCredentialType,
    model: 'gemini-2.5-flash',
    fields: (url) => ({ api_key, base_url: `${url}/v1beta` }),
  },
  dashscope: {
    type: dashScopeCredentialType,
    model: 'qwen3.6-plus',
    fields: (url) => ({ api_key, base_url: `${url}/compatible-mode/v1` }),
  },
  deepseek: {
    type: deepSeekCredentialType,
    model: 'deepseek-v4-pro',
    fields: (url) => ({ api_key, base_url: url }),
  },
  moonshot: {
    type: moonshotCredentialType,
    model: 'kimi-k2.6',
    fields: (url) => ({ api_key, base_url: `${url}/v1` }),
  },
  xai: { type: xaiCredentialType, model: 'grok-4.3', fields: () => ({ api_key }), host: 'api.x.ai' },
  ollama: { type: ollamaCredentialType, model: 'qwen3.5', fields: (url) => ({ host: url }) },
  openai_compatible: {
    type: openAiCompatibleCredentialType,
    model: 'some-model',
    fields: (url) => ({ api_key, base_url: `${url}/v1` }),
  },
  bedrock: {
    type: bedrockCredentialType,
    model: 'anthropic.claude-opus-4-6-v1',
    fields: (url) => ({ api_key, region: 'us-east-1', base_url: url }),
  },
} satisfies Record<string, Way>;

export type ProviderName = keyof typeof PROVIDERS;

export interface ModelSettings {
  readonly model?: string;
  readonly card?: ModelRef['card'];
  readonly fetch?: typeof globalThis.fetch;
}

/** The model of a provider as the service makes it of a credential, on a server at `url`. */
export function modelAt(provider: ProviderName, url: string, settings: ModelSettings = {}): ChatModel {
  const { type, model, fields, host }: Way = PROVIDERS[provider];
  const { model: name = model, card = null, fetch = globalThis.fetch } = settings;
  const data = type.schema.parse({ type: type.type, ...fields(url) });
  return type.createChatModel(data, { name, card }, { fetch: host === undefined ? fetch : rerouted(fetch, host, url) });
}

function rerouted(fetch: typeof globalThis.fetch, host: string, url: string): typeof globalThis.fetch {
  return (input, init) => fetch(typeof input === 'string' ? input.replace(`https://${host}`, url) : input, init);
}
