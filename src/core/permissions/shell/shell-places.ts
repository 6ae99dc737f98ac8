import { guardedPart, isInside, normalisePath, secretPart } from '../paths.js';
import type { Word } from './shell-word.js';

/** What one word names when it is taken for a path. */
export interface Place {
  /** In every directory the command may run in, it lies in a working directory. */
  readonly inside: boolean;
  /** It may be a working directory itself, or one above. */
  readonly root: boolean;
  readonly guarded: boolean;
  readonly secret: boolean;
}

const UNKNOWN: Place = { inside: false, root: true, guarded: false, secret: false };

export function placeOf(word: Word, cwds: readonly string[] | null, directories: readonly string[]): Place {
  if (word.value === null) return UNKNOWN;
  return placeOfPath(word.value, cwds, directories, word.glob, word.tilde);
}

function placeOfPath(
  value: string,
  cwds: readonly string[] | null,
  directories: readonly string[],
  glob: boolean,
  tilde: boolean,
): Place {
  const hiddenGlob = glob && value.split('/').some((segment) => /^\.[^/]*[*?[]/.test(segment));
  const guarded = hiddenGlob || guardedPart(value) !== null;
  // A path may stand behind the name of a revision.
  const secret = hiddenGlob || value.split(':').some((part) => secretPart(part) !== null);
  if (tilde) return { inside: false, root: true, guarded, secret };
  const bases = value.startsWith('/') ? ['/'] : cwds;
  if (bases === null || bases.length === 0) return { ...UNKNOWN, guarded, secret };
  const paths = bases.map((base) => normalisePath(value, base));
  return {
    inside: paths.every((path) => path !== null && isInside(path, directories)),
    root: paths.some((path) => path === null || directories.some((directory) => isInside(directory, [path]))),
    guarded,
    secret,
  };
}

/** The places an argument may name: itself, or what a flag carries behind `=` or its letter. */
export function placesOfArgument(
  word: Word,
  cwds: readonly string[] | null,
  directories: readonly string[],
): readonly Place[] {
  const value = word.value;
  if (value === null || !value.startsWith('-')) return [placeOf(word, cwds, directories)];
  const equals = value.indexOf('=');
  const carried = equals >= 0 ? value.slice(equals + 1) : value.startsWith('--') ? '' : value.slice(2);
  if (!/[/~]|\.\.|^\./.test(carried)) return [];
  return [placeOfPath(carried, cwds, directories, word.glob, word.tilde)];
}
