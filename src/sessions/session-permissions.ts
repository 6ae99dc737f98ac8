import { type PermissionContext, permissionContext, withRules } from '../core/permissions/permission-context.js';
import type { SessionConfig } from './session.schema.js';

/** What the calls of a session are judged by. */
export function permissionsOf(config: SessionConfig): PermissionContext {
  return withRules(permissionContext(config.permission_mode), config.permission_rules);
}
