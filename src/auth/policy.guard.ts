import { type CanActivate, type ExecutionContext, Injectable } from '@nestjs/common';
import { Reflector } from '@nestjs/core';
import { AerieError } from '../platform/http/errors.js';
import { Authenticator } from './authenticator.js';
import { type AuthenticatedRequest, ROUTE_POLICY, type RoutePolicy } from './policy.js';
import { requireScope } from './principal.js';

/** Default deny: a route without a policy is closed, everything but a public one needs an identity. */
@Injectable()
export class PolicyGuard implements CanActivate {
  constructor(
    private readonly reflector: Reflector,
    private readonly authenticator: Authenticator,
  ) {}

  async canActivate(context: ExecutionContext): Promise<boolean> {
    const policy = this.reflector.getAllAndOverride<RoutePolicy | undefined>(ROUTE_POLICY, [
      context.getHandler(),
      context.getClass(),
    ]);
    if (!policy) throw new AerieError('forbidden', 'This route is not open to anyone.');
    if ('public' in policy) return true;
    const request = context.switchToHttp().getRequest<AuthenticatedRequest>();
    const principal = await this.authenticator.authenticate({ headers: request.headers, body: request.body });
    if (!principal) {
      throw new AerieError('unauthenticated', 'The request names no caller.', undefined, {
        headers: { 'www-authenticate': 'Bearer' },
      });
    }
    if ('scope' in policy) requireScope(principal, policy.scope);
    request.principal = principal;
    return true;
  }
}
