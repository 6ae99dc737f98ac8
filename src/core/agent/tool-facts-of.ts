import type { PermissionTarget, ToolFacts } from '../permissions/tool-facts.js';
import type { ToolFlags } from './tool.js';

const GENERIC: PermissionTarget = { kind: 'generic' };

/** What the permission engine is told of a tool. */
export function factsOf(tool: ToolFlags): ToolFacts {
  const { name, is_read_only, starts_work = false, permission = GENERIC } = tool;
  return { name, is_read_only, starts_work, permission };
}
