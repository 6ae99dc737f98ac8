import type { ProviderAccess } from '../credential-type.js';
import { under, verifyByGet } from '../http-verify.js';

export function verifyGemini(
  { api_key, base_url }: { readonly api_key: string; readonly base_url: string },
  access: ProviderAccess,
  signal: AbortSignal,
): Promise<void> {
  return verifyByGet(
    access,
    { url: under(base_url, 'models?pageSize=1'), headers: { 'x-goog-api-key': api_key } },
    signal,
  );
}
