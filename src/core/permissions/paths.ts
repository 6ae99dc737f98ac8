import { posix } from 'node:path';
import { folded, hiddenCharacter } from './hidden-characters.js';

/**
 * Paths as they are written. Everything here is lexical: where a symbolic link leads is known only to the workspace, which must resolve it
 * and refuse what lies outside its root. These checks decide who is asked, the workspace decides what is possible.
 */
export const MAX_PATH = 4096;

/** Files that decide what other programs do, or hold secrets. */
const GUARDED_FILES = new Set([
  '.gitconfig',
  '.gitmodules',
  '.bashrc',
  '.bash_profile',
  '.bash_login',
  '.bash_logout',
  '.zshrc',
  '.zprofile',
  '.zshenv',
  '.profile',
  '.netrc',
  '.npmrc',
  '.pypirc',
  '.git-credentials',
  // By it alone a directory becomes a repository, whose configuration names programs that git runs.
  'head',
]);
const GUARDED_DIRECTORIES = new Set(['.git', '.vscode', '.idea', '.ssh']);

const SECRET_FILES = new Set(['.netrc', '.npmrc', '.pypirc', '.git-credentials', 'id_rsa', 'id_ed25519', 'id_ecdsa']);
const SECRET_DIRECTORIES = new Set(['.ssh', '.aws', '.gnupg', '.kube', '.docker']);

export function isAbsolutePath(path: string): boolean {
  return path.startsWith('/') && path.length <= MAX_PATH && hiddenCharacter(path) === null;
}

/** Absolute, without `.`, `..`, doubled or trailing slashes; null when it is relative and there is no base, has a NUL, or is too long. */
export function normalisePath(path: string, base: string | undefined): string | null {
  if (path.includes('\0') || path.length > MAX_PATH) return null;
  if (!path.startsWith('/') && base === undefined) return null;
  const whole = path.startsWith('/') ? path : `${base ?? ''}/${path}`;
  const normal = posix.normalize(whole).replace(/^\/\/+/, '/');
  return normal.length > 1 && normal.endsWith('/') ? normal.slice(0, -1) : normal;
}

/** `path` and `directories` are normal. */
export function isInside(path: string, directories: readonly string[]): boolean {
  return directories.some((directory) => {
    const normal = normalisePath(directory, undefined);
    return normal !== null && (path === normal || path.startsWith(normal === '/' ? '/' : `${normal}/`));
  });
}

/** Whether it is one of the working directories, or above one. */
export function holdsDirectory(path: string, directories: readonly string[]): boolean {
  return directories.some((directory) => isInside(normalisePath(directory, undefined) ?? '/', [path]));
}

/** What writing there would change besides a file of the project; null for nothing. */
export function guardedPart(path: string): string | null {
  return partsOf(path).find((part) => GUARDED_DIRECTORIES.has(part) || GUARDED_FILES.has(part) || isEnv(part)) ?? null;
}

/** What reading it would give away; null for nothing. */
export function secretPart(path: string): string | null {
  return partsOf(path).find((part) => SECRET_DIRECTORIES.has(part) || SECRET_FILES.has(part) || isEnv(part)) ?? null;
}

const isEnv = (part: string): boolean => part.startsWith('.env');

function partsOf(path: string): string[] {
  return path.split('/').map((part) => folded(part).replace(/[. ]+$/, ''));
}
