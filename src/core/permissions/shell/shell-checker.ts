import type { PermissionRule } from '../../messages/block.js';
import { allowsEdits, type PermissionChecker } from '../permission-checker.js';
import { contentOf, type PermissionMode } from '../permission-context.js';
import type { CheckResult } from '../permission-decision.js';
import { escapeWildcards } from '../wildcard.js';
import { dangerOf, dangerOfRedirect } from './dangerous-commands.js';
import { isEditInside, isWriteInside } from './edit-commands.js';
import { isHarmlessRedirect, isReadOnly } from './read-only.js';
import type { ShellParser } from './shell-parser.js';
import { allows, firstForbidding, suggestionFor } from './shell-rules.js';
import { readScript, type Redirect, type ShellCommand, type ShellScript } from './shell-script.js';

const MAX_SUGGESTIONS = 5;

export class ShellChecker implements PermissionChecker {
  private readonly script: ShellScript;

  constructor(
    command: string,
    private readonly directories: readonly string[],
    private readonly parser: ShellParser,
  ) {
    this.script = readScript(command, parser, directories[0]);
  }

  forbiddenBy(rules: readonly PermissionRule[]): PermissionRule | null {
    return firstForbidding(rules, this.script, this.parser);
  }

  /** Each part has to be allowed, by a rule or by being harmless; output into files by the mode, or with the command as a whole. */
  allowedBy(rules: readonly PermissionRule[], mode: PermissionMode): PermissionRule | null {
    const whole = rules.find((rule) => contentOf(rule) === null || isExactly(rule, this.script.source));
    if (whole !== undefined) return whole;
    const { commands, redirects } = this.script;
    if (!redirects.every((redirect) => this.mayRedirect(redirect, mode))) return null;
    let used: PermissionRule | null = null;
    for (const command of commands) {
      const rule = rules.find((it) => allows(it, command.text));
      if (rule !== undefined) used ??= rule;
      else if (!this.mayRun(command, mode)) return null;
    }
    return used;
  }

  isHarmless(): boolean {
    return this.isKnown() && this.everyPart('explore');
  }

  refusal(): null {
    return null;
  }

  check(mode: PermissionMode): CheckResult {
    const [hazard] = this.script.hazards;
    if (hazard !== undefined) return { behavior: 'ask', code: hazard.code, message: hazard.message, opaque: true };
    for (const command of this.script.commands) {
      const danger = dangerOf(command, this.directories);
      if (danger !== null) return { behavior: 'ask', ...danger, opaque: false };
    }
    for (const redirect of this.script.redirects) {
      const danger = dangerOfRedirect(redirect, this.directories);
      if (danger !== null) return { behavior: 'ask', ...danger, opaque: false };
    }
    if (this.isKnown() && allowsEdits(mode) && this.everyPart(mode)) {
      const reason = { type: 'inside_working_directories' } as const;
      return { behavior: 'allow', reason, message: 'The command edits files in the working directories only.' };
    }
    return { behavior: 'passthrough', message: 'The command is not known to be harmless.' };
  }

  suggestions(): readonly (string | null)[] {
    const { commands, redirects, source } = this.script;
    const writes = redirects.some((redirect) => !isHarmlessRedirect(redirect, this.directories));
    if (writes || commands.length === 0) return [escapeWildcards(source.trim())];
    const open = commands.filter((command) => !isReadOnly(command, this.directories));
    // Fewer rules than parts would not allow the command next time.
    const contents = [...new Set(open.map(suggestionFor))];
    return contents.length <= MAX_SUGGESTIONS ? contents : [escapeWildcards(source.trim())];
  }

  private isKnown(): boolean {
    return this.script.hazards.length === 0 && this.script.commands.length > 0;
  }

  private everyPart(mode: PermissionMode): boolean {
    const { commands, redirects } = this.script;
    return (
      commands.every((command) => this.mayRun(command, mode)) &&
      redirects.every((redirect) => this.mayRedirect(redirect, mode))
    );
  }

  private mayRun(command: ShellCommand, mode: PermissionMode): boolean {
    return isReadOnly(command, this.directories) || (allowsEdits(mode) && isEditInside(command, this.directories));
  }

  private mayRedirect(redirect: Redirect, mode: PermissionMode): boolean {
    if (isHarmlessRedirect(redirect, this.directories)) return true;
    return allowsEdits(mode) && isWriteInside(redirect, this.directories);
  }
}

function isExactly(rule: PermissionRule, source: string): boolean {
  return contentOf(rule) === escapeWildcards(source.trim());
}
