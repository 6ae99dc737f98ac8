import { createAlibaba } from '@ai-sdk/alibaba';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { dashScopeModelOptions } from './provider-options.js';
import { verifyOpenAi } from '../openai/verify.js';

const DashScopeCredential = z
  .strictObject({
    type: z.literal('dashscope_credential'),
    name: CredentialName,
    api_key: ApiKey,
    base_url: baseUrl('The OpenAI-compatible endpoint of the region that issued the key.').default(
      'https://dashscope.aliyuncs.com/compatible-mode/v1',
    ),
  })
  .meta({ id: 'DashScopeCredential' });

export const dashScopeCredentialType: CredentialType<typeof DashScopeCredential> = {
  type: 'dashscope_credential',
  title: 'DashScope API',
  schema: DashScopeCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: false,
  createChatModel({ api_key, base_url }, model, { fetch }) {
    const provider = createAlibaba({ apiKey: api_key, baseURL: base_url, fetch });
    return new AiSdkChatModel(provider(model.name), dashScopeModelOptions(model));
  },
  verify: verifyOpenAi,
};
