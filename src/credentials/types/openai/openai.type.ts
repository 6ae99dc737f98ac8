import { createOpenAI } from '@ai-sdk/openai';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName, HeaderText } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';

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
  createChatModel({ api_key, organization, base_url }, { name }, { fetch }) {
    const provider = createOpenAI({
      apiKey: api_key,
      baseURL: base_url ?? OPENAI_URL,
      ...(organization && { organization }),
      fetch,
    });
    if (base_url || speaks(name)) return new AiSdkChatModel(provider.chat(name), { namespace: 'openai' });
    return new AiSdkChatModel(provider.responses(name), {
      namespace: 'openai',
      // Conversations are ours to keep: nothing is to be stored at OpenAI.
      providerOptions: { store: false },
    });
  },
};

/** Audio models are served by Chat Completions only. */
function speaks(modelName: string): boolean {
  return /(^|-)audio(-|$)/.test(modelName);
}
