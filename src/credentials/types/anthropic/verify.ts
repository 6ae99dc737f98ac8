import type { ProviderAccess } from '../credential-type.js';
import { under, verifyByGet } from '../http-verify.js';

export function verifyAnthropic(
  { api_key, base_url }: { readonly api_key: string; readonly base_url: string },
  access: ProviderAccess,
  signal: AbortSignal,
): Promise<void> {
  const headers = { 'x-api-key': api_key, 'anthropic-version': '2023-06-01' };
  return verifyByGet(access, { url: under(base_url, 'models?limit=1'), headers }, signal);
}
