import { isPlainSed, sedFiles } from './sed.js';
import { placeOf } from './shell-places.js';
import type { Redirect, ShellCommand } from './shell-script.js';
import type { Word } from './shell-word.js';

/** Commands that do to files what an edit tool does, with the letters of options that keep to the files that are named. */
const EDITS: ReadonlyMap<string, RegExp> = new Map([
  ['mkdir', /^(-[pv]+|--parents|--verbose)$/],
  ['touch', /^(-[acm]+|--no-create)$/],
  ['rm', /^(-[firRdv]+|--force|--recursive|--dir|--verbose)$/],
  ['rmdir', /^(-[pv]+|--parents|--verbose)$/],
  ['mv', /^(-[finuvT]+|--force|--no-clobber|--update|--verbose|--no-target-directory)$/],
  ['cp', /^(-[afinpPrRuvT]+|--recursive|--archive|--force|--no-clobber|--update|--verbose|--no-target-directory)$/],
]);

/** Taking the directory itself away would take the ground from under everything else. */
const REMOVES = new Set(['rm', 'rmdir', 'mv']);

/** Whether the command is an edit of which every target lies in the working directories. */
export function isEditInside(command: ShellCommand, directories: readonly string[]): boolean {
  const [first, ...args] = command.words;
  const name = first?.value ?? '';
  if (name === 'sed') return isPlainSed(args, true) && areTargets(sedFiles(args), command, directories, false);
  const options = EDITS.get(name);
  if (options === undefined) return false;
  const end = args.findIndex((word) => word.value === '--');
  const targets: Word[] = end < 0 ? [] : args.slice(end + 1);
  for (const word of end < 0 ? args : args.slice(0, end)) {
    if (word.value?.startsWith('-') !== true) targets.push(word);
    else if (!options.test(word.value)) return false;
  }
  return areTargets(targets, command, directories, REMOVES.has(name));
}

export function isWriteInside(redirect: Redirect, directories: readonly string[]): boolean {
  if (redirect.kind !== 'write' || redirect.target.glob) return false;
  const place = placeOf(redirect.target, redirect.cwds, directories);
  return place.inside && !place.guarded;
}

function areTargets(
  targets: readonly Word[],
  command: ShellCommand,
  directories: readonly string[],
  removes: boolean,
): boolean {
  if (targets.length === 0) return false;
  return targets.every((word) => {
    // A name that begins with a dash would be an option.
    if (word.glob && /^[*?[]/.test(word.value ?? '')) return false;
    const place = placeOf(word, command.cwds, directories);
    return place.inside && !place.guarded && !place.secret && !(removes && place.root);
  });
}
