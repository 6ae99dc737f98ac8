import type { PermissionRule } from '../messages/block.js';
import type { PermissionMode } from './permission-context.js';

/** Why a decision fell: what an audit keeps and an approval shows. */
export type DecisionReason =
  | { readonly type: 'rule'; readonly rule: PermissionRule }
  | { readonly type: 'harmless' }
  | { readonly type: 'inside_working_directories' }
  | { readonly type: 'safety'; readonly code: string }
  | { readonly type: 'mode'; readonly mode: PermissionMode };

export interface PermissionDecision {
  readonly behavior: 'allow' | 'deny' | 'ask';
  /** For the one who is asked, or for the model that was denied. */
  readonly message: string;
  readonly decision_reason: DecisionReason;
  /** What would allow this call and its like next time; only on an ask, and never on an immune one. */
  readonly suggested_rules: readonly PermissionRule[];
  /** An ask that no allow rule answers. */
  readonly bypass_immune: boolean;
}

/** What the kind of a tool says of one call before allow rules are looked at. */
export type CheckResult =
  | { readonly behavior: 'allow'; readonly reason: DecisionReason; readonly message: string }
  | {
      readonly behavior: 'ask';
      readonly code: string;
      readonly message: string;
      /** What the call does is not known, so rules that name a part of it may have missed that part. */
      readonly opaque: boolean;
    }
  | { readonly behavior: 'passthrough'; readonly message: string };

export function allow(decision_reason: DecisionReason, message: string): PermissionDecision {
  return { behavior: 'allow', message, decision_reason, suggested_rules: [], bypass_immune: false };
}

export function deny(decision_reason: DecisionReason, message: string): PermissionDecision {
  return { behavior: 'deny', message, decision_reason, suggested_rules: [], bypass_immune: false };
}

export function ask(
  decision_reason: DecisionReason,
  message: string,
  suggested_rules: readonly PermissionRule[],
): PermissionDecision {
  return { behavior: 'ask', message, decision_reason, suggested_rules, bypass_immune: false };
}

export function immuneAsk(code: string, message: string): PermissionDecision {
  const decision_reason: DecisionReason = { type: 'safety', code };
  return { behavior: 'ask', message, decision_reason, suggested_rules: [], bypass_immune: true };
}
