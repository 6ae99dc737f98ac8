import { type AiSdkModelOptions, commonSettings, flagOf, present, textOf } from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

export function xaiModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'xai',
    mapParameters: (parameters, { hasTools }) => ({
      settings: commonSettings(parameters),
      provider: present({
        // Conversations are ours to keep: nothing is to be stored at xAI. Reasoning comes back encrypted instead.
        store: false,
        reasoningEffort: textOf(parameters.reasoning_effort),
        parallelToolCalls: hasTools ? flagOf(parameters.parallel_tool_calls) : undefined,
      }),
    }),
    media: { input_types: card?.input_types ?? null, carries: ['image/*'] },
    thinking: 'signed',
  };
}
