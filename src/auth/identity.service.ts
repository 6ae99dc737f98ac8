import { Injectable, Logger } from '@nestjs/common';
import { Config } from '../platform/config/config.js';
import { AerieError } from '../platform/http/errors.js';
import { type AuthRequest, Authenticator } from './authenticator.js';
import type { Principal } from './principal.js';

/** Not oftener, however soon an identity expires: authenticators allow for clocks that differ. */
const MIN_MS = 1000;

/** Looks again who is behind a request that stays open: tokens expire, and users are removed. */
@Injectable()
export class IdentityService {
  private readonly logger = new Logger(IdentityService.name);

  constructor(
    private readonly authenticator: Authenticator,
    private readonly config: Config,
  ) {}

  /**
   * Calls back once when the request would no longer be let in as this principal. An authenticator that cannot be reached takes nobody's
   * identity before it expires. The returned function ends the watch.
   */
  watch(request: AuthRequest, principal: Principal, onLost: () => void): () => void {
    let timer: NodeJS.Timeout | undefined;
    let expires = principal.expires_at;
    const schedule = () => {
      const left = expires ? expires.getTime() - Date.now() : Infinity;
      timer = setTimeout(() => void look(), Math.max(MIN_MS, Math.min(left, this.config.streams.reauth_ms)));
      timer.unref();
    };
    const look = async () => {
      const found = await this.look(request, principal, expires);
      if (timer === undefined) return;
      if (!found) return onLost();
      expires = found.expires_at;
      schedule();
    };
    schedule();
    return () => {
      clearTimeout(timer);
      timer = undefined;
    };
  }

  private async look(request: AuthRequest, known: Principal, expires: Date | undefined): Promise<Principal | null> {
    try {
      const found = await this.authenticator.authenticate(request);
      return found?.tenant_id === known.tenant_id && found.user_id === known.user_id ? found : null;
    } catch (error) {
      if (error instanceof AerieError && error.status < 500) return null;
      this.logger.warn({ err: error }, 'The identity behind a stream cannot be checked');
      return expires && expires.getTime() <= Date.now() ? null : known;
    }
  }
}
