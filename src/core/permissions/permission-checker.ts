import type { PermissionRule } from '../messages/block.js';
import type { CheckResult } from './permission-decision.js';
import type { PermissionMode } from './permission-context.js';

/** One call, read in the way of its tool's kind. */
export interface PermissionChecker {
  /** The first of deny or ask rules that fits the call, in whole or in part. */
  forbiddenBy(rules: readonly PermissionRule[]): PermissionRule | null;
  /** Why the call makes no sense, so that nobody need be asked; null when it does. */
  refusal(): { readonly code: string; readonly message: string } | null;
  /** A rule that, with the others, allows all of the call. */
  allowedBy(rules: readonly PermissionRule[], mode: PermissionMode): PermissionRule | null;
  /** Whether the call changes nothing and reads only what anybody in the session may read. */
  isHarmless(): boolean;
  check(mode: PermissionMode): CheckResult;
  /** Contents of allow rules that would cover the call and its like; null for the whole tool. */
  suggestions(): readonly (string | null)[];
}

/** Modes in which edits inside the working directories need no question. */
export function allowsEdits(mode: PermissionMode): boolean {
  return mode === 'accept_edits' || mode === 'dont_ask';
}
