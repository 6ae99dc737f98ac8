import { posix } from 'node:path';
import type { PermissionRule } from '../messages/block.js';
import { compileGlob, escapeGlob } from './glob.js';
import { folded, hiddenCharacter } from './hidden-characters.js';
import { guardedPart, isInside, normalisePath, secretPart } from './paths.js';
import { allowsEdits, type PermissionChecker } from './permission-checker.js';
import { contentOf, type PermissionMode } from './permission-context.js';
import type { CheckResult } from './permission-decision.js';

const UNRESOLVED = 'The path cannot be resolved.';

/** A call that reads or writes one file, or searches one directory. */
export class FileChecker implements PermissionChecker {
  /** Null for a path that names nothing. */
  private readonly path: string | null;

  constructor(
    private readonly access: 'read' | 'edit',
    private readonly written: string,
    private readonly directories: readonly string[],
    private readonly toolIsReadOnly: boolean,
  ) {
    this.path = normalisePath(written, directories[0]);
  }

  forbiddenBy(rules: readonly PermissionRule[]): PermissionRule | null {
    return rules.find((rule) => this.mayFit(rule)) ?? null;
  }

  allowedBy(rules: readonly PermissionRule[]): PermissionRule | null {
    return rules.find((rule) => this.isAllowedBy(rule)) ?? null;
  }

  isHarmless(): boolean {
    return (
      this.access === 'read' &&
      this.toolIsReadOnly &&
      this.path !== null &&
      hiddenCharacter(this.written) === null &&
      isInside(this.path, this.directories) &&
      secretPart(this.path) === null
    );
  }

  refusal() {
    return this.path === null ? { code: 'bad_path', message: UNRESOLVED } : null;
  }

  check(mode: PermissionMode): CheckResult {
    const { path } = this;
    if (path === null) return { behavior: 'passthrough', message: UNRESOLVED };
    const hidden = hiddenCharacter(this.written);
    if (hidden !== null) {
      const message = `The path has a character that cannot be seen: ${hidden}`;
      return { behavior: 'ask', code: 'hidden_character', message, opaque: true };
    }
    if (this.access === 'edit') return this.checkEdit(path, mode);
    const secret = secretPart(path);
    if (secret !== null) return { behavior: 'passthrough', message: `"${secret}" may hold secrets.` };
    if (isInside(path, this.directories)) return { behavior: 'passthrough', message: 'The tool is not read-only.' };
    return { behavior: 'passthrough', message: 'The path lies outside the working directories.' };
  }

  suggestions(): readonly (string | null)[] {
    if (this.path === null) return [];
    const secret = secretPart(this.path) ?? guardedPart(this.path);
    if (secret !== null) return [escapeGlob(this.path)];
    const directory = posix.dirname(this.path);
    return [directory === '/' ? escapeGlob(this.path) : `${escapeGlob(directory)}/**`];
  }

  private checkEdit(path: string, mode: PermissionMode): CheckResult {
    const guarded = guardedPart(path);
    if (guarded !== null) {
      const message = `"${guarded}" decides what other programs do, or holds secrets.`;
      return { behavior: 'ask', code: 'guarded_file', message, opaque: false };
    }
    const inside = isInside(path, this.directories);
    if (inside && allowsEdits(mode)) {
      const message = 'The file lies in the working directories.';
      return { behavior: 'allow', reason: { type: 'inside_working_directories' }, message };
    }
    return {
      behavior: 'passthrough',
      message: inside ? 'The tool changes a file.' : 'The path lies outside the working directories.',
    };
  }

  /** A rule that forbids also fits what only looks like its path or lies below it; one that is not understood fits everything. */
  private mayFit(rule: PermissionRule): boolean {
    const content = contentOf(rule);
    if (content === null || this.path === null) return true;
    const { path } = this;
    return [(text: string) => text, folded].some((read) =>
      this.patterns(content, read).some((pattern) => {
        const bare = pattern.replace(/\/+$/, '');
        const globs = [compileGlob(bare), compileGlob(`${bare}/**`)];
        return globs.some((glob) => glob === null || glob(read(path)));
      }),
    );
  }

  private isAllowedBy(rule: PermissionRule): boolean {
    const content = contentOf(rule);
    if (content === null) return true;
    const { path } = this;
    if (path === null) return false;
    return this.patterns(content, (text) => text).some((pattern) => compileGlob(pattern)?.(path) === true);
  }

  private patterns(content: string, read: (text: string) => string): readonly string[] {
    return absolutePatterns(read(content), this.directories.map(read));
  }
}

/** Absolute: what begins with two stars speaks of every directory, what has no root of the working directories. */
export function absolutePatterns(pattern: string, directories: readonly string[]): readonly string[] {
  if (pattern.startsWith('/')) return [pattern];
  if (pattern.startsWith('**')) return [`/${pattern}`];
  const below = pattern.replace(/^(\.\/)+/, '');
  return directories.map((directory) => `${escapeGlob(directory === '/' ? '' : directory)}/${below}`);
}
