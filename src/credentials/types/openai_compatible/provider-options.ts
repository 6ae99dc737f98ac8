import {
  type AiSdkModelOptions,
  commonSettings,
  flagOf,
  numberOf,
  present,
  textOf,
} from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

/** The `name` of the provider: under it the package finds both its own options and what goes into the body as it stands. */
export const OPENAI_COMPATIBLE_NAME = 'openaiCompatible';

export function openAiCompatibleModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: OPENAI_COMPATIBLE_NAME,
    mapParameters: (parameters, { hasTools }) => ({
      settings: { ...commonSettings(parameters), topK: undefined },
      provider: present({
        reasoningEffort: textOf(parameters.reasoning_effort),
        // Not options of the package, so they have the names of the wire.
        parallel_tool_calls: hasTools ? flagOf(parameters.parallel_tool_calls) : undefined,
        top_k: numberOf(parameters.top_k),
      }),
    }),
    media: {
      input_types: card?.input_types ?? null,
      carries: ['image/*', 'audio/wav', 'audio/mpeg', 'video/*', 'application/pdf'],
    },
    thinking: 'signed',
  };
}
