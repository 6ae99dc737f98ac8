import { normalisePath } from '../paths.js';
import { placeOf, placesOfArgument } from './shell-places.js';
import { baseName } from './runners.js';
import type { Redirect, ShellCommand } from './shell-script.js';
import type { Word } from './shell-word.js';

/** Programs that unmake a disk, a file system or the machine. */
const DESTROYERS =
  /^(dd|fdisk|sfdisk|cfdisk|gdisk|parted|format|wipefs|shred|shutdown|reboot|halt|poweroff|init|telinit|mkfs([.].*)?|mkswap|mke2fs)$/;

/** Programs that write to the files they are given. */
const WRITERS = new Set(
  'mkdir touch rm rmdir mv cp sed tee ln link unlink install truncate chmod chown chgrp rsync patch ed ex tar unzip cpio split csplit'.split(
    ' ',
  ),
);

const SYSTEM = new Set('/ /home /media /mnt /opt /root /run /srv /tmp /var /Applications /Users /Volumes'.split(' '));

/** Directories in which nothing is anybody's to remove. */
const SYSTEM_TREES = /^\/(bin|boot|dev|etc|lib|lib32|lib64|proc|sbin|sys|usr|Library|System)(\/|$)/;

export interface Danger {
  readonly code: string;
  readonly message: string;
}

/** What makes a command one that is asked whatever the rules say; null for nothing. */
export function dangerOf(command: ShellCommand, directories: readonly string[]): Danger | null {
  const name = baseName(command.words[0]) ?? '';
  const args = command.words.slice(1);
  if (DESTROYERS.test(name)) return { code: 'dangerous_command', message: `"${name}" can destroy data beyond repair.` };
  if ((name === 'rm' || name === 'rmdir') && args.some((word) => isSystemDirectory(word, command, directories))) {
    return { code: 'system_directory', message: 'The command removes a system or home directory.' };
  }
  if (name === 'rm' && has(args, 'rR', 'recursive') && has(args, 'f', 'force')) {
    return { code: 'dangerous_command', message: 'The command removes directories without asking.' };
  }
  if (
    name === 'chmod' &&
    args.some((word) => word.value !== null && /^0*[0-7]?(777|666)$|^[ugoa]*[oa][ugoa]*[+=][rwxXst]*w/.test(word.value))
  ) {
    return { code: 'dangerous_command', message: 'The command lets everybody write.' };
  }
  if (name === 'chown' && has(args, 'R', 'recursive')) {
    return { code: 'dangerous_command', message: 'The command gives a whole directory to somebody else.' };
  }
  if (
    /^(kill|killall|pkill)$/.test(name) &&
    args.some((word) => word.value !== null && /^(--signal=|-[sn]?)?(SIG)?(9|KILL)$/i.test(word.value))
  ) {
    return { code: 'dangerous_command', message: 'The command kills a process without letting it end.' };
  }
  if (
    WRITERS.has(name) &&
    args.some((word) => placesOfArgument(word, command.cwds, directories).some((it) => it.guarded))
  ) {
    return { code: 'guarded_file', message: 'The command changes a file that decides what other programs do.' };
  }
  return null;
}

export function dangerOfRedirect(redirect: Redirect, directories: readonly string[]): Danger | null {
  const { target, kind } = redirect;
  if (kind !== 'write') return null;
  const path = target.value === null ? null : normalisePath(target.value, '/');
  if (path !== '/dev/null' && path?.startsWith('/dev/') === true) {
    return { code: 'device', message: 'The command writes to a device.' };
  }
  if (placesOfArgument(target, redirect.cwds, directories).some((it) => it.guarded)) {
    return { code: 'guarded_file', message: 'The command changes a file that decides what other programs do.' };
  }
  return null;
}

function has(args: readonly Word[], letters: string, long: string): boolean {
  return args.some(({ value }) => {
    if (value === null || !value.startsWith('-')) return false;
    if (value.startsWith('--')) return value.length > 2 && long.startsWith(value.slice(2));
    return [...value.slice(1)].some((letter) => letters.includes(letter));
  });
}

function isSystemDirectory(word: Word, command: ShellCommand, directories: readonly string[]): boolean {
  if (/^(~[\w-]*|"?\$\{?HOME\}?"?)(\/\*?)?$/.test(word.raw)) return true;
  if (word.value === null || word.value.startsWith('-')) return false;
  const bare = word.glob ? word.value.replace(/\/[*?.]*$/, '/') : word.value;
  const place = placeOf({ ...word, value: bare }, command.cwds, directories);
  if (place.inside) return false;
  const path = normalisePath(bare, command.cwds?.[0]);
  return path !== null && (place.root || SYSTEM.has(path) || SYSTEM_TREES.test(path));
}
