import { createRemoteJWKSet, errors, jwtVerify, type JWTPayload, type JWTVerifyGetKey } from 'jose';
import { AerieError } from '../platform/http/errors.js';
import { Authenticator, type AuthRequest } from './authenticator.js';
import { DEFAULT_TENANT, identity } from './header.authenticator.js';
import { Principal } from './principal.js';

export interface JwtOptions {
  readonly issuer: string;
  readonly audience: string[];
  readonly jwks_url: string;
  readonly user_claim: string;
  readonly tenant_claim?: string;
  readonly scopes_claim: string;
}

/** Only signatures that a published public key can check. */
const ALGORITHMS = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA'];

/** Bearer tokens of an OIDC issuer, checked against its published keys (cached, refetched when an unknown key id appears). */
export class JwtAuthenticator extends Authenticator {
  private readonly keys: JWTVerifyGetKey;

  constructor(private readonly options: JwtOptions) {
    super();
    this.keys = createRemoteJWKSet(new URL(options.jwks_url));
  }

  async authenticate({ headers }: AuthRequest): Promise<Principal | null> {
    const match = /^Bearer ([\w.~+/=-]+)$/i.exec(headers.authorization ?? '');
    if (!match?.[1]) return null;
    const claims = await this.verify(match[1]);
    const user = claims[this.options.user_claim];
    if (typeof user !== 'string' || !user) throw refuse(`The token has no claim ${this.options.user_claim}.`);
    return new Principal(
      this.tenant(claims),
      identity(this.options.user_claim, user),
      scopes(claims[this.options.scopes_claim]),
      new Date((claims.exp ?? 0) * 1000),
    );
  }

  private async verify(token: string): Promise<JWTPayload> {
    try {
      const { issuer, audience } = this.options;
      const { payload } = await jwtVerify(token, this.keys, {
        issuer,
        audience,
        algorithms: ALGORITHMS,
        requiredClaims: ['exp'],
        clockTolerance: 5,
      });
      return payload;
    } catch (error) {
      if (error instanceof errors.JWTExpired) throw refuse('The token has expired.', error);
      if (error instanceof errors.JWKSTimeout || !(error instanceof errors.JOSEError)) {
        throw new AerieError('unavailable', 'The issuer of tokens cannot be reached.', undefined, { cause: error });
      }
      throw refuse('The token is not valid here.', error);
    }
  }

  /** With a tenant claim configured, a token without it is nobody's: it must not fall into a shared tenant. */
  private tenant(claims: JWTPayload): string {
    const { tenant_claim } = this.options;
    if (!tenant_claim) return DEFAULT_TENANT;
    const tenant = claims[tenant_claim];
    if (typeof tenant !== 'string' || !tenant) throw refuse(`The token has no claim ${tenant_claim}.`);
    return identity(tenant_claim, tenant);
  }
}

function scopes(claim: unknown): ReadonlySet<string> | 'all' {
  if (claim === undefined) return 'all';
  if (typeof claim === 'string') return new Set(claim.split(/\s+/).filter(Boolean));
  if (Array.isArray(claim)) return new Set(claim.filter((item): item is string => typeof item === 'string'));
  throw refuse('The scopes of the token cannot be read.');
}

function refuse(message: string, cause?: unknown): AerieError {
  return new AerieError('unauthenticated', message, undefined, {
    cause,
    headers: { 'www-authenticate': 'Bearer error="invalid_token"' },
  });
}
