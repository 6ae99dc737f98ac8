import type { AiSdkModelOptions } from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';
import { type OpenAiApi, openAiModelOptions } from '../openai/provider-options.js';

/** Azure's package reads options of the Responses API under its own name, those of Chat Completions under that of OpenAI. */
export function azureModelOptions(model: ModelRef, api: OpenAiApi): AiSdkModelOptions {
  return openAiModelOptions(model, api, api === 'chat' ? 'openai' : 'azure');
}
