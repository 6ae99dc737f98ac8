import { AerieError } from '../platform/http/errors.js';
import type { Principal, Scope } from './principal.js';

export function requireScope(principal: Principal, scope: Scope): void {
  if (principal.may(scope)) return;
  throw new AerieError('forbidden', `This needs the scope ${scope}.`, { required_scope: scope });
}
