import { type AiSdkModelOptions, commonSettings, switchedThinking } from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

export function deepSeekModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'deepseek',
    mapParameters: (parameters) => ({ settings: commonSettings(parameters), provider: switchedThinking(parameters) }),
    media: { input_types: card?.input_types ?? null, carries: ['image/*'] },
    // DeepSeek refuses a tool result whose call comes without the reasoning that led to it.
    thinking: 'all',
  };
}
