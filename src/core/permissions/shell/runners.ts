import type { HazardCode } from './hazards.js';
import type { Word } from './shell-word.js';

/** Programs that run a command given in their arguments or input. */
const RUNNERS = new Set(
  (
    'eval exec command builtin source . env xargs parallel sudo su doas pkexec runuser nohup nice ionice chrt taskset timeout setsid ' +
    'setpriv stdbuf unbuffer script strace ltrace gdb watch entr time coproc busybox toybox chroot unshare nsenter flock at batch crontab ' +
    'systemd-run bash sh zsh dash ksh ash csh tcsh fish rbash pwsh ssh'
  ).split(' '),
);

/** Builtins after which the words of later commands mean something else. */
const STATE = new Set(
  'alias unalias trap shopt set enable hash bind complete compgen let read readarray mapfile getopts export declare local readonly typeset unset shift umask ulimit'.split(
    ' ',
  ),
);

/** `find` and `fd` with an action that runs a program. */
const FIND_ACTIONS = new Set(['-exec', '-execdir', '-ok', '-okdir']);
const FD_ACTIONS = /^(-[a-zA-Z]*[xX]|--exec(-batch)?(=|$))/;

/** A dash of another script is no flag to the program, but one to the reader. */
const OTHER_DASH = /^[\u2010-\u2015\u2212\ufe58\ufe63\uff0d]/;

export function baseName(word: Word | undefined): string | null {
  const value = word?.value ?? null;
  return value === null ? null : value.slice(value.lastIndexOf('/') + 1);
}

/** Whether the command has another one run that stands in its arguments. */
export function isRunner(words: readonly Word[]): boolean {
  const name = baseName(words[0]);
  if (name === null) return false;
  if (RUNNERS.has(name)) return true;
  const values = words.slice(1).map((word) => word.value);
  if (name === 'find') return values.some((value) => value !== null && FIND_ACTIONS.has(value));
  if (name === 'fd' || name === 'fdfind') return values.some((value) => value !== null && FD_ACTIONS.test(value));
  return false;
}

export function commandHazards(words: readonly Word[]): HazardCode[] {
  const [first] = words;
  const found: HazardCode[] = [];
  const name = baseName(first);
  if (first === undefined || name === null || first.glob || first.tilde || name === '') found.push('dynamic_command');
  else if (/[^\u0000-\u007f]/.test(first.value ?? '')) found.push('confusable');
  if (words.some((word) => word.value !== null && OTHER_DASH.test(word.value))) found.push('confusable');
  if (name !== null && STATE.has(name)) found.push('shell_state');
  if (isRunner(words)) found.push('runs_other_command');
  return found;
}
