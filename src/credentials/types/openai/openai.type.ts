import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName, HeaderText } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { OPENAI_AUDIO_NAME, openAiAudioModelOptions } from './audio-options.js';
import { openAiModelOptions } from './provider-options.js';
import { verifyOpenAi } from './verify.js';

/** Given explicitly, since the provider package would otherwise let OPENAI_BASE_URL of the process send tenants' keys elsewhere. */
const OPENAI_URL = 'https://api.openai.com/v1';

const OpenAiCredential = z
  .strictObject({
    type: z.literal('openai_credential'),
    name: CredentialName,
    api_key: ApiKey,
    organization: HeaderText.meta({ title: 'Organization' }).nullable().optional(),
    base_url: baseUrl('Any server that speaks the Chat Completions API of OpenAI.').nullable().optional(),
  })
  .meta({ id: 'OpenAiCredential' });

/** OpenAI by its Responses API, which keeps reasoning between tool calls; any other server by Chat Completions. */
export const openAiCredentialType: CredentialType<typeof OpenAiCredential> = {
  type: 'openai_credential',
  title: 'OpenAI API',
  schema: OpenAiCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: true,
  createChatModel({ api_key, organization, base_url }, model, { fetch }) {
    const settings = { apiKey: api_key, baseURL: base_url ?? OPENAI_URL, fetch };
    if (!base_url && speaks(model.name)) {
      const headers: Record<string, string> = organization ? { 'OpenAI-Organization': organization } : {};
      const provider = createOpenAICompatible({ ...settings, name: OPENAI_AUDIO_NAME, headers, includeUsage: true });
      return new AiSdkChatModel(provider(model.name), openAiAudioModelOptions(model));
    }
    const provider = createOpenAI({ ...settings, ...(organization && { organization }) });
    const api = base_url ? 'chat' : 'responses';
    return new AiSdkChatModel(provider[api](model.name), openAiModelOptions(model, api));
  },
  verify: ({ base_url, ...data }, access, signal) =>
    verifyOpenAi({ ...data, base_url: base_url ?? OPENAI_URL }, access, signal),
};

/** Audio models are served by Chat Completions only. */
function speaks(modelName: string): boolean {
  return /(^|-)audio(-|$)/.test(modelName);
}
