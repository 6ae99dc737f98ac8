import type { JSONObject } from '@ai-sdk/provider';
import {
  type AiSdkModelOptions,
  commonSettings,
  flagOf,
  numberOf,
  type Parameters,
  present,
  textOf,
} from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

export const CLAUDE_IMAGES = ['image/jpeg', 'image/png', 'image/gif', 'image/webp'];

export function anthropicModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'anthropic',
    mapParameters: (parameters, { hasTools }) => ({
      settings: commonSettings(parameters),
      provider: present({
        thinking: claudeThinking(parameters),
        effort: textOf(parameters.reasoning_effort),
        disableParallelToolUse: hasTools && flagOf(parameters.parallel_tool_calls) === false ? true : undefined,
        // A model that thinks in silence is alive as long as it pings.
        includePings: true,
      }),
    }),
    media: { input_types: card?.input_types ?? null, carries: [...CLAUDE_IMAGES, 'application/pdf'] },
    thinking: 'signed',
  };
}

/**
 * `thinking_mode` of newer models, else `thinking_enable` with `thinking_budget` of older ones; undefined leaves it to the provider.
 * The smallest budget stands in for one that is not given.
 */
export function claudeThinking(parameters: Parameters): JSONObject | undefined {
  const enabled = flagOf(parameters.thinking_enable);
  const mode =
    textOf(parameters.thinking_mode) ?? (enabled === undefined ? undefined : enabled ? 'enabled' : 'disabled');
  const display = textOf(parameters.thinking_display);
  switch (mode) {
    case 'adaptive':
      return present({ type: 'adaptive', display });
    case 'enabled':
      return { type: 'enabled', budgetTokens: numberOf(parameters.thinking_budget) ?? MIN_BUDGET };
    case 'disabled':
      return { type: 'disabled' };
    default:
      return undefined;
  }
}

const MIN_BUDGET = 1024;
