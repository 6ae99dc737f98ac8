import { createParamDecorator, type ExecutionContext, SetMetadata } from '@nestjs/common';
import type { FastifyRequest } from 'fastify';
import type { Principal, Scope } from './principal.js';

export type RoutePolicy = { public: true } | { scope: Scope } | { authenticated: true };

export const ROUTE_POLICY = 'aerie:policy';

/** Anyone may call the route. */
export const Public = () => SetMetadata(ROUTE_POLICY, { public: true } satisfies RoutePolicy);

/** Callers with this scope may call the route; without an argument, everyone with an identity. */
export const Policy = (scope?: Scope) =>
  SetMetadata(ROUTE_POLICY, (scope ? { scope } : { authenticated: true }) satisfies RoutePolicy);

export type AuthenticatedRequest = FastifyRequest & { principal?: Principal };

/** The caller, as the guard found it. */
export const Caller = createParamDecorator((_data: unknown, context: ExecutionContext): Principal => {
  const { principal } = context.switchToHttp().getRequest<AuthenticatedRequest>();
  if (!principal) throw new Error('a public route has no caller');
  return principal;
});
