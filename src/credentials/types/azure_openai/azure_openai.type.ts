import { createAzure } from '@ai-sdk/azure';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { ApiKey, baseUrl, CredentialName, HostLabel } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { azureModelOptions } from './provider-options.js';
import { verifyAzure } from './verify.js';

const AzureOpenAiCredential = z
  .strictObject({
    type: z.literal('azure_openai_credential'),
    name: CredentialName,
    api_key: ApiKey,
    resource_name: HostLabel.meta({
      title: 'Resource name',
      description: 'As in https://<resource name>.openai.azure.com. Either this or a base URL.',
    })
      .nullable()
      .optional(),
    base_url: baseUrl('Up to and with `/openai`, or a gateway before it. Either this or a resource name.')
      .nullable()
      .optional(),
    api_version: z
      .string()
      .regex(/^\d{4}-\d\d-\d\d(-preview)?$/, 'must be a date as in 2024-10-21')
      .meta({
        title: 'API version',
        description:
          'A dated version, for deployments without the Responses API: those are called by Chat Completions. Empty: v1.',
      })
      .nullable()
      .optional(),
  })
  .refine(({ resource_name, base_url }) => Boolean(resource_name) !== Boolean(base_url), {
    path: ['resource_name'],
    error: 'give either resource_name or base_url',
  })
  .meta({ id: 'AzureOpenAiCredential' });

/** The name of a model is that of its deployment. */
export const azureOpenAiCredentialType: CredentialType<typeof AzureOpenAiCredential> = {
  type: 'azure_openai_credential',
  title: 'Azure OpenAI',
  schema: AzureOpenAiCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: true,
  createChatModel({ api_key, resource_name, base_url, api_version }, model, { fetch }) {
    const provider = createAzure({
      apiKey: api_key,
      baseURL: base_url ?? resourceUrl(resource_name),
      ...(api_version && { apiVersion: api_version, useDeploymentBasedUrls: true }),
      fetch,
    });
    const api = api_version ? 'chat' : 'responses';
    // The package puts it into the path of a dated version as it is: whoever chooses a model must not choose another path with the key.
    const deployment = api_version ? encodeURIComponent(model.name) : model.name;
    return new AiSdkChatModel(provider[api](deployment), azureModelOptions(model, api));
  },
  verify: ({ api_key, resource_name, base_url, api_version }, access, signal) =>
    verifyAzure({ api_key, base_url: base_url ?? resourceUrl(resource_name), api_version }, access, signal),
};

function resourceUrl(resource_name: string | null | undefined): string {
  return `https://${resource_name}.openai.azure.com/openai`;
}
