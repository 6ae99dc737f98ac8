import { createGoogle } from '@ai-sdk/google';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { geminiModelOptions } from './provider-options.js';
import { verifyGemini } from './verify.js';

const GEMINI_URL = 'https://generativelanguage.googleapis.com/v1beta';

const GeminiCredential = z
  .strictObject({
    type: z.literal('gemini_credential'),
    name: CredentialName,
    api_key: ApiKey,
    base_url: baseUrl('A proxy that speaks the Gemini API; `/models/…` is put after it.').nullable().optional(),
  })
  .meta({ id: 'GeminiCredential' });

export const geminiCredentialType: CredentialType<typeof GeminiCredential> = {
  type: 'gemini_credential',
  title: 'Gemini API',
  schema: GeminiCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: false,
  createChatModel({ api_key, base_url }, model, { fetch }) {
    const provider = createGoogle({ apiKey: api_key, baseURL: base_url ?? GEMINI_URL, fetch });
    return new AiSdkChatModel(provider(model.name), geminiModelOptions(model));
  },
  verify: ({ api_key, base_url }, access, signal) =>
    verifyGemini({ api_key, base_url: base_url ?? GEMINI_URL }, access, signal),
};
