import { createMoonshotAI } from '@ai-sdk/moonshotai';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { moonshotModelOptions } from './provider-options.js';
import { verifyOpenAi } from '../openai/verify.js';

const MoonshotCredential = z
  .strictObject({
    type: z.literal('moonshot_credential'),
    name: CredentialName,
    api_key: ApiKey,
    base_url: baseUrl('The endpoint of the region that issued the key.').default('https://api.moonshot.cn/v1'),
  })
  .meta({ id: 'MoonshotCredential' });

export const moonshotCredentialType: CredentialType<typeof MoonshotCredential> = {
  type: 'moonshot_credential',
  title: 'Moonshot API',
  schema: MoonshotCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: false,
  createChatModel({ api_key, base_url }, model, { fetch }) {
    const provider = createMoonshotAI({ apiKey: api_key, baseURL: base_url, fetch });
    return new AiSdkChatModel(provider(model.name), moonshotModelOptions(model));
  },
  verify: verifyOpenAi,
};
