import type { AiSdkModelOptions } from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';
import { type OpenAiApi, openAiModelOptions } from '../openai/provider-options.js';

export function azureModelOptions(model: ModelRef, api: OpenAiApi): AiSdkModelOptions {
  return openAiModelOptions(model, api, 'azure');
}
