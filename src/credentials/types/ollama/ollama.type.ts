import { createOllama } from 'ollama-ai-provider-v2';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { baseUrl, CredentialName } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { ollamaModelOptions } from './provider-options.js';
import { verifyOllama } from './verify.js';
import { ollamaFetch } from './ollama-fetch.js';

const OLLAMA_HOST = 'http://localhost:11434';

const OllamaCredential = z
  .strictObject({
    type: z.literal('ollama_credential'),
    name: CredentialName,
    host: baseUrl(`Where Ollama listens; ${OLLAMA_HOST} when empty.`, 'Host').nullable().optional(),
  })
  .meta({ id: 'OllamaCredential' });

/** What an Ollama can run is what its owner pulled. */
export const ollamaCredentialType: CredentialType<typeof OllamaCredential> = {
  type: 'ollama_credential',
  title: 'Ollama API',
  schema: OllamaCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: true,
  createChatModel({ host }, model, { fetch }) {
    const provider = createOllama({
      baseURL: `${(host ?? OLLAMA_HOST).replace(/\/$/, '')}/api`,
      fetch: ollamaFetch(fetch),
    });
    return new AiSdkChatModel(provider(model.name), ollamaModelOptions(model));
  },
  verify: ({ host }, access, signal) => verifyOllama({ host: host ?? OLLAMA_HOST }, access, signal),
};
