import type { PermissionRule } from '../messages/block.js';
import type { PermissionChecker } from './permission-checker.js';
import { contentOf } from './permission-context.js';
import type { CheckResult } from './permission-decision.js';

const UNREADABLE = 'The input does not say what the call touches.';

/** A call of which only the tool is known. */
export class GenericChecker implements PermissionChecker {
  constructor(private readonly harmless: boolean) {}

  /** A rule that names a part of the tool cannot be compared with the call, so it is taken to fit. */
  forbiddenBy(rules: readonly PermissionRule[]): PermissionRule | null {
    return rules[0] ?? null;
  }

  allowedBy(rules: readonly PermissionRule[]): PermissionRule | null {
    return rules.find((rule) => contentOf(rule) === null) ?? null;
  }

  isHarmless(): boolean {
    return this.harmless;
  }

  refusal(): null {
    return null;
  }

  check(): CheckResult {
    return { behavior: 'passthrough', message: 'The tool may change something.' };
  }

  suggestions(): readonly (string | null)[] {
    return [null];
  }
}

/** A call whose input lacks the field that the tool's kind is judged by. */
export class UnreadableChecker implements PermissionChecker {
  forbiddenBy(rules: readonly PermissionRule[]): PermissionRule | null {
    return rules[0] ?? null;
  }

  allowedBy(): PermissionRule | null {
    return null;
  }

  isHarmless(): boolean {
    return false;
  }

  refusal() {
    return { code: 'unreadable_input', message: UNREADABLE };
  }

  check(): CheckResult {
    return { behavior: 'passthrough', message: UNREADABLE };
  }

  suggestions(): readonly (string | null)[] {
    return [];
  }
}
