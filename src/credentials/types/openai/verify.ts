import type { ProviderAccess } from '../credential-type.js';
import { bearer, under, verifyByGet } from '../http-verify.js';

export interface OpenAiShaped {
  readonly api_key?: string | null | undefined;
  readonly organization?: string | null | undefined;
  readonly base_url: string;
}

/**
 * Lists the models, as OpenAI and all who follow it do: DashScope, DeepSeek, Moonshot, xAI and the servers behind `openai_compatible`. A
 * server that shows its list to anybody takes any key here.
 */
export function verifyOpenAi(
  { api_key, organization, base_url }: OpenAiShaped,
  access: ProviderAccess,
  signal: AbortSignal,
): Promise<void> {
  const headers = { ...bearer(api_key), ...(organization ? { 'openai-organization': organization } : {}) };
  return verifyByGet(access, { url: under(base_url, 'models'), headers }, signal);
}
