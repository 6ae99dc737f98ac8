/** What a token may be limited to. A caller without limits holds all of them except `act_as`. */
export const SCOPES = [
  'agents:read',
  'agents:write',
  'credentials:read',
  'credentials:write',
  'models:read',
  'sessions:read',
  'sessions:write',
  'runs:write',
] as const;
export type Scope = (typeof SCOPES)[number];

/** Who calls: every store method takes this first, so no query is without an owner. */
export class Principal {
  constructor(
    readonly tenant_id: string,
    readonly user_id: string,
    private readonly scopes: ReadonlySet<string> | 'all' = 'all',
  ) {}

  may(scope: Scope): boolean {
    return this.scopes === 'all' || this.scopes.has(scope);
  }
}

/**
 * The service itself, for work over all tenants: reconciler, renewal, purge. Only store methods made for that accept it, and only the
 * module that does such work constructs one.
 */
export class SystemPrincipal {
  readonly kind = 'system';
  constructor(readonly purpose: string) {}
}
