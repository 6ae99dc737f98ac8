import { createAnthropic } from '@ai-sdk/anthropic';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { anthropicModelOptions } from './provider-options.js';
import { verifyAnthropic } from './verify.js';

const ANTHROPIC_URL = 'https://api.anthropic.com/v1';

const AnthropicCredential = z
  .strictObject({
    type: z.literal('anthropic_credential'),
    name: CredentialName,
    api_key: ApiKey,
    base_url: baseUrl('Any server that speaks the Messages API; `/messages` is put after it.').nullable().optional(),
  })
  .meta({ id: 'AnthropicCredential' });

export const anthropicCredentialType: CredentialType<typeof AnthropicCredential> = {
  type: 'anthropic_credential',
  title: 'Anthropic API',
  schema: AnthropicCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: false,
  createChatModel({ api_key, base_url }, model, { fetch }) {
    const provider = createAnthropic({ apiKey: api_key, baseURL: base_url ?? ANTHROPIC_URL, fetch });
    return new AiSdkChatModel(provider(model.name), anthropicModelOptions(model));
  },
  verify: ({ api_key, base_url }, access, signal) =>
    verifyAnthropic({ api_key, base_url: base_url ?? ANTHROPIC_URL }, access, signal),
};
