import type { JSONObject } from '@ai-sdk/provider';
import {
  type AiSdkModelOptions,
  commonSettings,
  type Parameters,
  present,
  textOf,
} from '../../../models/ai-sdk/options.js';
import { claudeThinking, CLAUDE_IMAGES } from '../anthropic/provider-options.js';
import type { ModelRef } from '../credential-type.js';

const VIDEOS = ['mp4', 'quicktime', 'x-matroska', 'webm', 'x-flv', 'mpeg', 'x-ms-wmv', '3gpp'].map(
  (it) => `video/${it}`,
);

export function bedrockModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'amazonBedrock',
    mapParameters: (parameters) => ({
      settings: commonSettings(parameters),
      provider: present({ reasoningConfig: reasoningConfig(parameters) }),
    }),
    media: { input_types: card?.input_types ?? null, carries: [...CLAUDE_IMAGES, ...VIDEOS, 'application/pdf'] },
    thinking: 'signed',
  };
}

/** The package writes it as each family of models wants it. */
function reasoningConfig(parameters: Parameters): JSONObject | undefined {
  const config = present({ ...claudeThinking(parameters), maxReasoningEffort: textOf(parameters.reasoning_effort) });
  return Object.keys(config).length > 0 ? config : undefined;
}
