import { type AiSdkModelOptions, commonSettings, flagOf, present, textOf } from '../../../models/ai-sdk/options.js';
import { SpokenAnswer } from '../../../models/ai-sdk/spoken-answer.js';
import type { ModelRef } from '../credential-type.js';

/** The `name` under which the package for compatible servers passes on what it does not know. */
export const OPENAI_AUDIO_NAME = 'openai';
const DEFAULT_VOICE = 'alloy';

/**
 * The models of OpenAI that speak. They are called by Chat Completions with the package for compatible servers, since OpenAI's own sends
 * no `modalities`, without which these models refuse a question in writing. Streamed sound comes as `pcm16` only.
 */
export function openAiAudioModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: OPENAI_AUDIO_NAME,
    mapParameters: (parameters, { hasTools }) => ({
      settings: commonSettings(parameters),
      provider: present({
        modalities: ['text', 'audio'],
        audio: { voice: textOf(parameters.voice) ?? DEFAULT_VOICE, format: 'pcm16' },
        parallel_tool_calls: hasTools ? flagOf(parameters.parallel_tool_calls) : undefined,
      }),
    }),
    media: { input_types: card?.input_types ?? null, carries: ['audio/wav', 'audio/mpeg'] },
    thinking: 'signed',
    raw: () => new SpokenAnswer(),
  };
}
