import { type AiSdkModelOptions, commonSettings, switchedThinking } from '../../../models/ai-sdk/options.js';
import type { ModelRef } from '../credential-type.js';

const CARRIED = [
  ...['jpeg', 'png', 'gif', 'webp', 'bmp', 'heic', 'heif'].map((it) => `image/${it}`),
  ...['mp4', 'mpeg', 'quicktime', 'avi', 'x-flv', 'webm', '3gpp'].map((it) => `video/${it}`),
];

export function moonshotModelOptions({ card }: ModelRef): AiSdkModelOptions {
  return {
    namespace: 'moonshotai',
    mapParameters: (parameters) => ({ settings: commonSettings(parameters), provider: switchedThinking(parameters) }),
    media: { input_types: card?.input_types ?? null, carries: CARRIED, names: { 'video/quicktime': 'video/mov' } },
    thinking: 'all',
  };
}
