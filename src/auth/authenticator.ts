import type { IncomingHttpHeaders } from 'node:http';
import type { Principal } from './principal.js';

export interface AuthRequest {
  readonly headers: IncomingHttpHeaders;
  readonly body: unknown;
}

/**
 * Says who a request comes from. Returns null when the request names nobody (→ 401); throws `AerieError` to say why it is refused.
 * A custom one comes in through the options of AerieModule.
 */
export abstract class Authenticator {
  abstract authenticate(request: AuthRequest): Promise<Principal | null> | Principal | null;
}
