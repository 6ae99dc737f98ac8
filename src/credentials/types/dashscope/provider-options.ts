import { type AiSdkModelOptions, commonSettings, flagOf, numberOf, present } from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

export function dashScopeModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'alibaba',
    mapParameters: (parameters, { hasTools }) => ({
      settings: commonSettings(parameters),
      provider: present({
        enableThinking: flagOf(parameters.thinking_enable),
        // A budget for thinking that is switched off is refused.
        thinkingBudget: parameters.thinking_enable === false ? undefined : numberOf(parameters.thinking_budget),
        parallelToolCalls: hasTools ? flagOf(parameters.parallel_tool_calls) : undefined,
      }),
    }),
    media: { input_types: card?.input_types ?? null, carries: ['image/*'] },
    thinking: 'all',
  };
}
