import { type AiSdkModelOptions, commonSettings, flagOf, present, textOf } from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

export function deepSeekModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'deepseek',
    mapParameters: (parameters) => {
      const enabled = flagOf(parameters.thinking_enable);
      return {
        settings: commonSettings(parameters),
        provider: present({
          thinking: enabled === undefined ? undefined : { type: enabled ? 'enabled' : 'disabled' },
          reasoningEffort: textOf(parameters.reasoning_effort),
        }),
      };
    },
    media: { input_types: card?.input_types ?? null, carries: ['image/*'] },
    // DeepSeek refuses a tool result whose call comes without the reasoning that led to it.
    thinking: 'all',
  };
}
