import { AwsV4Signer } from 'aws4fetch';
import type { ProviderAccess } from '../credential-type.js';
import { bearer, under, verifyByGet } from '../http-verify.js';

export interface BedrockAccess {
  readonly region: string;
  readonly api_key?: string | null | undefined;
  readonly access_key_id?: string | null | undefined;
  readonly secret_access_key?: string | null | undefined;
  readonly session_token?: string | null | undefined;
  /** Another endpoint of the runtime, e.g. inside a VPC. */
  readonly base_url?: string | null | undefined;
}

/**
 * Lists the foundation models, which the policies of Bedrock API keys allow; a role that may do nothing but invoke is answered with
 * `permission`. With an endpoint of its own, which need not reach the control plane, it lists the asynchronous invocations there.
 */
export async function verifyBedrock(data: BedrockAccess, access: ProviderAccess, signal: AbortSignal): Promise<void> {
  const url = data.base_url
    ? under(data.base_url, 'async-invoke?maxResults=1')
    : `${controlPlane(data.region)}/foundation-models`;
  const headers = data.api_key ? bearer(data.api_key) : await signed(url, data);
  return verifyByGet(access, { url, headers }, signal);
}

function controlPlane(region: string): string {
  return `https://bedrock.${region}.amazonaws.com${region.startsWith('cn-') ? '.cn' : ''}`;
}

async function signed(url: string, data: BedrockAccess): Promise<Record<string, string>> {
  const { headers } = await new AwsV4Signer({
    url,
    method: 'GET',
    service: 'bedrock',
    region: data.region,
    accessKeyId: data.access_key_id ?? '',
    secretAccessKey: data.secret_access_key ?? '',
    sessionToken: data.session_token ?? undefined,
    headers: { accept: 'application/json' },
  }).sign();
  // The client sets the host by itself.
  headers.delete('host');
  return Object.fromEntries(headers);
}
