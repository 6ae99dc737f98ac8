import { createAmazonBedrock } from '@ai-sdk/amazon-bedrock';
import { z } from 'zod';
import { AiSdkChatModel } from '../../../models/ai-sdk/ai-sdk-model.js';
import type { CredentialType } from '../credential-type.js';
import { baseUrl, CredentialName, HeaderText, HostLabel, secret } from '../fields.js';
import { loadModelCatalog } from '../model-catalog-file.js';
import { bedrockFetch } from './bedrock-fetch.js';
import { bedrockModelOptions } from './provider-options.js';
import { verifyBedrock } from './verify.js';

const BedrockCredential = z
  .strictObject({
    type: z.literal('bedrock_credential'),
    name: CredentialName,
    region: HostLabel.meta({ title: 'Region', description: 'As in us-east-1.' }),
    api_key: secret('API key').nullable().optional(),
    access_key_id: HeaderText.meta({ title: 'Access key ID', description: 'With a secret, in place of an API key.' })
      .nullable()
      .optional(),
    secret_access_key: secret('Secret access key').nullable().optional(),
    session_token: secret('Session token').nullable().optional(),
    base_url: baseUrl('Another endpoint of the Bedrock runtime, such as one inside a VPC.').nullable().optional(),
  })
  .refine((it) => Boolean(it.api_key) !== Boolean(it.access_key_id && it.secret_access_key), {
    path: ['api_key'],
    error: 'give either api_key or access_key_id and secret_access_key',
  })
  .refine((it) => !it.api_key || !(it.access_key_id || it.secret_access_key || it.session_token), {
    path: ['api_key'],
    error: 'goes without access_key_id, secret_access_key and session_token',
  })
  .meta({ id: 'BedrockCredential' });

/** By an API key (bearer), or by requests that are signed with access keys. */
export const bedrockCredentialType: CredentialType<typeof BedrockCredential> = {
  type: 'bedrock_credential',
  title: 'Amazon Bedrock',
  schema: BedrockCredential,
  models: loadModelCatalog(new URL('./models.yaml', import.meta.url)),
  allowsUnlistedModels: true,
  createChatModel({ region, api_key, access_key_id, secret_access_key, session_token, base_url }, model, { fetch }) {
    const provider = createAmazonBedrock({
      region,
      // Whatever is left undefined here the provider package looks up in AWS_* of the process, which belongs to the operator.
      apiKey: api_key ?? '',
      accessKeyId: access_key_id ?? '',
      secretAccessKey: secret_access_key ?? '',
      sessionToken: session_token ?? undefined,
      baseURL: base_url ?? runtimeUrl(region),
      fetch: bedrockFetch(fetch),
    });
    return new AiSdkChatModel(provider(model.name), bedrockModelOptions(model));
  },
  verify: verifyBedrock,
};

function runtimeUrl(region: string): string {
  return `https://bedrock-runtime.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}
