import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { OPENAI_COMPATIBLE_NAME, openAiCompatibleModelOptions } from './provider-options.js';
import { verifyOpenAi } from '../openai/verify.js';

const OpenAiCompatibleCredential = z
  .strictObject({
    type: z.literal('openai_compatible_credential'),
    name: CredentialName,
    base_url: baseUrl('`/chat/completions` is put after it.'),
    api_key: ApiKey.nullable().optional(),
  })
  .meta({ id: 'OpenAiCompatibleCredential' });

/** Any server that speaks Chat Completions in its common form. */
export const openAiCompatibleCredentialType: CredentialType<typeof OpenAiCompatibleCredential> = {
  type: 'openai_compatible_credential',
  title: 'OpenAI-compatible API',
  schema: OpenAiCompatibleCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: true,
  createChatModel({ base_url, api_key }, model, { fetch }) {
    const provider = createOpenAICompatible({
      name: OPENAI_COMPATIBLE_NAME,
      baseURL: base_url,
      ...(api_key && { apiKey: api_key }),
      includeUsage: true,
      fetch,
    });
    return new AiSdkChatModel(provider(model.name), openAiCompatibleModelOptions(model));
  },
  verify: verifyOpenAi,
};
