import { AerieError } from '../platform/http/errors.js';

/** What a token may be limited to. A caller without limits holds all of them but those that a token has to name. */
export const SCOPES = [
  'agents:read',
  'agents:write',
  'credentials:read',
  'credentials:write',
  'models:read',
  'sessions:read',
  'sessions:write',
  'runs:read',
  'runs:write',
  'approvals:read',
  'approvals:write',
  /** What one's own model calls used and cost. */
  'usage:read',
  /** The same of all users of the tenant. Never implied: a token has to name it. */
  'usage:tenant',
  /** To stop the sessions of other users of the tenant. Never implied: a token has to name it. */
  'act_as',
] as const;

export type Scope = (typeof SCOPES)[number];

const NEVER_IMPLIED: ReadonlySet<Scope> = new Set(['act_as', 'usage:tenant']);

/** Who calls: every store method takes this first, so no query is without an owner. */
export class Principal {
  constructor(
    readonly tenant_id: string,
    readonly user_id: string,
    private readonly scopes: ReadonlySet<string> | 'all' = 'all',
    /** When what the caller showed runs out; open streams end then. */
    readonly expires_at?: Date,
  ) {}

  may(scope: Scope): boolean {
    return this.scopes === 'all' ? !NEVER_IMPLIED.has(scope) : this.scopes.has(scope);
  }

  /** Another user of the same tenant, for a caller that may act for it. */
  as(userId: string): Principal {
    if (userId !== this.user_id && !this.may('act_as')) throw new Error('the caller may not act for others');
    return new Principal(this.tenant_id, userId, this.scopes, this.expires_at);
  }
}

export function requireScope(principal: Principal, scope: Scope): void {
  if (principal.may(scope)) return;
  throw new AerieError('forbidden', `This needs the scope ${scope}.`, { required_scope: scope });
}

/**
 * The service itself, for work over all tenants: reconciler, renewal, purge. Only store methods made for that accept it, and only the
 * module that does such work constructs one.
 */
export class SystemPrincipal {
  readonly kind = 'system';
  constructor(readonly purpose: string) {}
}
