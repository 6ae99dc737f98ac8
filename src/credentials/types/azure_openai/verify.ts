import type { ProviderAccess } from '../credential-type.js';
import { under, verifyByGet } from '../http-verify.js';

/** `base_url` up to and with `/openai`; without a dated `api_version` by the v1 API. */
export function verifyAzure(
  {
    api_key,
    base_url,
    api_version,
  }: { readonly api_key: string; readonly base_url: string; readonly api_version?: string | null | undefined },
  access: ProviderAccess,
  signal: AbortSignal,
): Promise<void> {
  const path = api_version ? `models?api-version=${encodeURIComponent(api_version)}` : 'v1/models?api-version=v1';
  return verifyByGet(access, { url: under(base_url, path), headers: { 'api-key': api_key } }, signal);
}
