import type { ProviderAccess } from '../credential-type.js';
import { under, verifyByGet } from '../http-verify.js';

/** There is no key to check: it shows whether an Ollama listens at `host`, e.g. `http://localhost:11434`. */
export function verifyOllama(
  { host }: { readonly host: string },
  access: ProviderAccess,
  signal: AbortSignal,
): Promise<void> {
  return verifyByGet(access, { url: under(host, 'api/tags'), headers: {} }, signal);
}
