import { timingSafeEqual, createHash } from 'node:crypto';
import { AerieError } from '../platform/http/errors.js';
import { Authenticator, type AuthRequest } from './authenticator.js';
import { Principal } from './principal.js';

export const DEFAULT_TENANT = 'default';

/** Ids come from outside: bounded, printable, without the characters that could confuse keys or logs. */
const IDENTITY = /^[^\p{C}\s](?:[^\p{C}]{0,254}[^\p{C}\s])?$/u;

/** Checks an id that a header, token or body names; `what` says which in the refusal. */
export function identity(what: string, value: string): string {
  if (IDENTITY.test(value)) return value;
  throw new AerieError('unauthenticated', `${what} is not a usable identity.`);
}

/** Believes the headers of a trusted gateway: `X-User-ID`, optionally `X-Tenant-ID`; with a secret the gateway proves itself. */
export class HeaderAuthenticator extends Authenticator {
  constructor(private readonly proxySecret: string | undefined) {
    super();
  }

  authenticate({ headers }: AuthRequest): Principal | null {
    if (this.proxySecret !== undefined && !matches(this.proxySecret, headers['x-aerie-proxy-secret'])) {
      throw new AerieError('unauthenticated', 'The request did not come through the trusted gateway.');
    }
    const user = single(headers['x-user-id']);
    if (!user) return null;
    const tenant = single(headers['x-tenant-id']) || DEFAULT_TENANT;
    return new Principal(identity('X-Tenant-ID', tenant), identity('X-User-ID', user));
  }
}

/** Loopback only: the headers, else the `user_id` of the body, else `default`, so that examples work without any set-up. */
export class OpenAuthenticator extends Authenticator {
  private readonly headers = new HeaderAuthenticator(undefined);

  authenticate(request: AuthRequest): Principal {
    const named = this.headers.authenticate(request);
    if (named) return named;
    const user = (request.body as { user_id?: unknown } | null | undefined)?.user_id;
    const tenant = single(request.headers['x-tenant-id']) || DEFAULT_TENANT;
    return new Principal(
      identity('X-Tenant-ID', tenant),
      typeof user === 'string' && user ? identity('user_id', user) : 'default',
    );
  }
}

function single(value: string | string[] | undefined): string {
  return typeof value === 'string' ? value.trim() : '';
}

function matches(secret: string, given: string | string[] | undefined): boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  return typeof given === 'string' && timingSafeEqual(digest(secret), digest(given));
}
