import { type AiSdkModelOptions, flagOf, numberOf, present } from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

/**
 * Ollama reads sampling settings from `options` alone, while the package puts the general settings beside it, where they are ignored; so
 * none of those is used.
 */
export function ollamaModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'ollama',
    mapParameters: (parameters) => ({
      settings: {},
      provider: present({
        think: flagOf(parameters.thinking_enable),
        options: present({
          num_predict: numberOf(parameters.max_tokens),
          temperature: numberOf(parameters.temperature),
          top_p: numberOf(parameters.top_p),
          top_k: numberOf(parameters.top_k),
        }),
      }),
    }),
    // The package says that images may be given by URL, but Ollama fetches nothing; other files it drops without a word.
    media: { input_types: card?.input_types ?? null, carries: ['image/*'], urls: {} },
    thinking: 'all',
  };
}
