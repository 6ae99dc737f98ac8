import { READ_ONLY, READ_ONLY_GIT, type ReadOnlySpec } from './read-only-commands.js';
import { isPlainSed, sedFiles } from './sed.js';
import { placesOfArgument, placeOf } from './shell-places.js';
import type { Redirect, ShellCommand } from './shell-script.js';
import type { Word } from './shell-word.js';

/** Whether a command reads nothing but what lies in the working directories, gives no secret away, and changes nothing. */
export function isReadOnly(command: ShellCommand, directories: readonly string[]): boolean {
  const [first, ...rest] = command.words;
  const name = first?.value ?? null;
  if (name === null) return false;
  if (name === 'sed') return isPlainSed(rest, false) && staysInside(sedFiles(rest), command, directories);
  if (name === 'git') {
    // Another directory may hold another repository, whose configuration names programs.
    if (command.cwds?.length !== 1) return false;
    const spec = READ_ONLY_GIT.get(rest[0]?.value ?? '');
    return spec !== undefined && keeps(spec, rest.slice(1), command, directories);
  }
  const spec = READ_ONLY.get(name);
  return spec !== undefined && keeps(spec, rest, command, directories);
}

/** Output into nothing or another descriptor, input from the working directories. */
export function isHarmlessRedirect(redirect: Redirect, directories: readonly string[]): boolean {
  if (redirect.kind === 'write') return redirect.target.value === '/dev/null';
  if (redirect.target.value === '/dev/null') return true;
  const place = placeOf(redirect.target, redirect.cwds, directories);
  return place.inside && !place.secret;
}

function keeps(
  spec: ReadOnlySpec,
  args: readonly Word[],
  command: ShellCommand,
  directories: readonly string[],
): boolean {
  if (args.some((word) => word.value === null)) return false;
  if (spec.needsOne === true && args.length === 0) return false;
  // A name that begins with a dash would be an option.
  if (spec.text !== true && args.some((word) => word.glob && /^[*?[]/.test(word.value ?? ''))) {
    if (spec.long !== undefined || spec.short !== undefined || spec.words !== undefined) return false;
  }
  if (spec.operands !== undefined && args.filter((word) => !isOption(word)).length > spec.operands) return false;
  for (const word of args) {
    const value = word.value ?? '';
    if (spec.only !== undefined && !spec.only.includes(value)) return false;
    if (spec.words?.includes(value) === true || spec.refuse?.test(value) === true) return false;
    if (isDangerousOption(value, spec)) return false;
  }
  // The shell makes paths of text with wildcards or a tilde.
  const paths = spec.text === true ? args.filter((word) => word.glob || word.tilde) : args;
  return staysInside(paths, command, directories);
}

function isOption(word: Word): boolean {
  return word.value !== null && word.value.length > 1 && word.value.startsWith('-');
}

function isDangerousOption(value: string, spec: ReadOnlySpec): boolean {
  if (!value.startsWith('-') || value === '-') return false;
  if (value.startsWith('--')) {
    const name = value.slice(2).split('=')[0] ?? '';
    return name !== '' && spec.long?.some((long) => long.startsWith(name)) === true;
  }
  return spec.short !== undefined && [...value.slice(1)].some((letter) => spec.short?.includes(letter));
}

function staysInside(args: readonly Word[], command: ShellCommand, directories: readonly string[]): boolean {
  return args.every((word) =>
    placesOfArgument(word, command.cwds, directories).every((place) => place.inside && !place.secret),
  );
}
