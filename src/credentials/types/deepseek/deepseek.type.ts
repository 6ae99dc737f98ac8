import { createDeepSeek } from '@ai-sdk/deepseek';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { deepSeekModelOptions } from './provider-options.js';
import { verifyOpenAi } from '../openai/verify.js';

const DeepSeekCredential = z
  .strictObject({
    type: z.literal('deepseek_credential'),
    name: CredentialName,
    api_key: ApiKey,
    base_url: baseUrl('Where the API of DeepSeek is served.').default('https://api.deepseek.com'),
  })
  .meta({ id: 'DeepSeekCredential' });

export const deepSeekCredentialType: CredentialType<typeof DeepSeekCredential> = {
  type: 'deepseek_credential',
  title: 'DeepSeek API',
  schema: DeepSeekCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: false,
  createChatModel({ api_key, base_url }, model, { fetch }) {
    const provider = createDeepSeek({ apiKey: api_key, baseURL: base_url, fetch });
    return new AiSdkChatModel(provider(model.name), deepSeekModelOptions(model));
  },
  verify: verifyOpenAi,
};
