import {
  type AiSdkModelOptions,
  commonSettings,
  flagOf,
  type Parameters,
  present,
  textOf,
} from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

/** Which of OpenAI's two APIs a model is called by. */
export type OpenAiApi = 'responses' | 'chat';

const DOCUMENTS = ['image/*', 'application/pdf'];

/** `namespace`: Azure takes the same options, in part under its own name. */
export function openAiModelOptions(
  { card }: ModelRef,
  api: OpenAiApi,
  namespace: 'openai' | 'azure' = 'openai',
): AiSdkModelOptions {
  return {
    namespace,
    mapParameters: (parameters, { hasTools }) => ({
      settings: commonSettings(parameters),
      provider: present({
        // Conversations are ours to keep: nothing is to be stored at OpenAI.
        store: api === 'responses' ? false : undefined,
        reasoningEffort: textOf(parameters.reasoning_effort),
        parallelToolCalls: hasTools ? flagOf(parameters.parallel_tool_calls) : undefined,
        reasoningSummary: api === 'responses' ? summaryOf(parameters) : undefined,
      }),
    }),
    media: {
      input_types: card?.input_types ?? null,
      carries: api === 'chat' ? [...DOCUMENTS, 'audio/wav', 'audio/mpeg'] : DOCUMENTS,
    },
    thinking: 'signed',
  };
}

/** Only on request: OpenAI gives summaries of some models to verified organisations alone, and refuses the call of others. */
function summaryOf(parameters: Parameters): 'auto' | undefined {
  return parameters.thinking_enable === true ? 'auto' : undefined;
}
