import type { Word } from './shell-word.js';

/**
 * Whether `sed` is called with options that only print or edit in place, and with one script that neither runs nor names a file: an optional
 * address and `p`, `d` or `s`. The script is the first argument that is no option.
 */
export function isPlainSed(args: readonly Word[], inPlace: boolean): boolean {
  let script: string | null = null;
  for (const word of args) {
    if (word.value === null) return false;
    if (word.value.startsWith('-') && word.value !== '-') {
      const plain = /^-[nErsz]+$/.test(word.value);
      if (!plain && !(inPlace && /^(-i|--in-place)([.]\w+)?$/.test(word.value))) return false;
    } else script ??= word.value;
  }
  return script !== null && isPlainScript(script);
}

/** Where the files begin: behind the script. */
export function sedFiles(args: readonly Word[]): readonly Word[] {
  const operands = args.filter((word) => word.value === null || !word.value.startsWith('-'));
  return operands.slice(1);
}

const ADDRESS = /^(\d+|\$)(,(\d+|\$))?/;

function isPlainScript(script: string): boolean {
  const command = script.replace(ADDRESS, '');
  if (command === 'p' || command === 'd') return true;
  if (command.charAt(0) !== 's') return false;
  const delimiter = command.charAt(1);
  if (!/^[/|#,:@]$/.test(delimiter)) return false;
  let seen = 0;
  let at = 2;
  for (; at < command.length && seen < 2; at += 1) {
    const char = command.charAt(at);
    if (char === '\n') return false;
    if (char === '\\') at += 1;
    else if (char === delimiter) seen += 1;
  }
  return seen === 2 && /^[gIip0-9]*$/.test(command.slice(at));
}
