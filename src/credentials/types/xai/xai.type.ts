import { createXai } from '@ai-sdk/xai';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, CredentialName, HostName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { xaiModelOptions } from './provider-options.js';
import { verifyOpenAi } from '../openai/verify.js';

const XaiCredential = z
  .strictObject({
    type: z.literal('xai_credential'),
    name: CredentialName,
    api_key: ApiKey,
    api_host: HostName.meta({ title: 'API host', description: 'Reached by HTTPS.' }).default('api.x.ai'),
  })
  .meta({ id: 'XaiCredential' });

export const xaiCredentialType: CredentialType<typeof XaiCredential> = {
  type: 'xai_credential',
  title: 'xAI API',
  schema: XaiCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: false,
  createChatModel({ api_key, api_host }, model, { fetch }) {
    const provider = createXai({ apiKey: api_key, baseURL: `https://${api_host}/v1`, fetch });
    return new AiSdkChatModel(provider(model.name), xaiModelOptions(model));
  },
  verify: ({ api_key, api_host }, access, signal) =>
    verifyOpenAi({ api_key, base_url: `https://${api_host}/v1` }, access, signal),
};
