import type { JSONObject } from '@ai-sdk/provider';
import {
  type AiSdkModelOptions,
  commonSettings,
  flagOf,
  numberOf,
  type Parameters,
  present,
} from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

export function geminiModelOptions({ name, card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'google',
    mapParameters: (parameters) => ({
      settings: commonSettings(parameters),
      provider: present({ thinkingConfig: thinkingConfig(name, parameters) }),
    }),
    media: {
      input_types: card?.input_types ?? null,
      carries: ['image/*', 'audio/*', 'video/*', 'application/pdf'],
      in_replies: true,
    },
    thinking: 'signed',
  };
}

/** Thoughts are shown only when asked for. Of the models, only the 2.5 Flash family can be kept from thinking, by a budget of 0. */
function thinkingConfig(model: string, parameters: Parameters): JSONObject | undefined {
  const enabled = flagOf(parameters.thinking_enable);
  const budget = numberOf(parameters.thinking_budget);
  if (enabled === false) {
    return present({ includeThoughts: false, thinkingBudget: /gemini-2\.5-flash/.test(model) ? 0 : undefined });
  }
  if (enabled === undefined && budget === undefined) return undefined;
  return present({ includeThoughts: enabled, thinkingBudget: budget });
}
