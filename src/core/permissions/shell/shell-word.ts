import type { HazardCode } from './hazards.js';
import type { SyntaxNode } from './shell-parser.js';

/** One word of a command, as the shell hands it to the program. */
export interface Word {
  /** Null when only the shell knows it (a variable). */
  readonly value: string | null;
  readonly raw: string;
  /** Has an unquoted `*`, `?` or `[`: becomes the names that fit. */
  readonly glob: boolean;
  /** Has an unquoted `~` that becomes a home directory. */
  readonly tilde: boolean;
}

interface Part {
  value: string | null;
  glob: boolean;
  hazards: HazardCode[];
}

/** What stands unquoted in a word must have been read by the parser as text; these would not be text to a shell. */
const NOT_TEXT = /[`"'(){}<>|&;\s]/;

export function readWord(node: SyntaxNode, source: string): { word: Word; hazards: HazardCode[] } {
  const raw = source.slice(node.start, node.end);
  // The placeholder of `find` and `xargs` is text to a shell.
  const parts = raw === '{}' ? [{ value: raw, glob: false, hazards: [] }] : partsOf(node, source);
  const dynamic = parts.some((part) => part.value === null);
  const value = dynamic ? null : parts.map((part) => part.value).join('');
  const tilde = /^~|[=:]~/.test(raw);
  const word = { value, raw, glob: parts.some((part) => part.glob), tilde };
  return { word, hazards: parts.flatMap((part) => part.hazards) };
}

function partsOf(node: SyntaxNode, source: string): Part[] {
  const raw = source.slice(node.start, node.end);
  switch (node.type) {
    case 'word':
    case 'number':
      return [unquoted(raw)];
    case 'raw_string':
      return [{ value: raw.slice(1, -1), glob: false, hazards: [] }];
    case 'string':
      return [doubleQuoted(node, raw)];
    case 'command_name':
    case 'concatenation':
      return node.children.flatMap((child) => partsOf(child, source));
    default:
      // An expansion that may be glob characters, too. Whether it is a hazard is said by the type of the node.
      return [{ value: null, glob: false, hazards: [] }];
  }
}

function unquoted(raw: string): Part {
  let value = '';
  let glob = false;
  const hazards: HazardCode[] = [];
  for (let i = 0; i < raw.length; i += 1) {
    const char = raw.charAt(i);
    if (char === '\\') {
      i += 1;
      value += raw.charAt(i);
      continue;
    }
    if (char === '*' || char === '?' || char === '[') glob = true;
    if (char === '$') return { value: null, glob, hazards: ['complex_expansion'] };
    if (char === '{' || char === '}') hazards.push('brace_expansion');
    else if (NOT_TEXT.test(char)) hazards.push('unsupported_syntax');
    value += char;
  }
  return { value, glob, hazards };
}

function doubleQuoted(node: SyntaxNode, raw: string): Part {
  if (!raw.startsWith('"') || !raw.endsWith('"') || raw.length < 2) {
    return { value: null, glob: false, hazards: ['ansi_c_quoting'] };
  }
  if (node.children.some((child) => child.named && child.type !== 'string_content')) {
    return { value: null, glob: false, hazards: [] };
  }
  let value = '';
  const text = raw.slice(1, -1);
  for (let i = 0; i < text.length; i += 1) {
    const char = text.charAt(i);
    if (char === '\\' && '\\"$`'.includes(text.charAt(i + 1) || ' ')) {
      i += 1;
      value += text.charAt(i);
    } else if (char === '`' || char === '$') {
      // A lone `$` is text to a shell; what else it may be is not worth deciding.
      return { value: null, glob: false, hazards: char === '`' ? ['command_substitution'] : ['complex_expansion'] };
    } else {
      value += char;
    }
  }
  return { value, glob: false, hazards: [] };
}

const SIMPLE = /^[\w@%+=:,./~^-]+$/;

/** One spelling for words that mean the same: plain text without its quotes, anything else as it was written. */
export function canonical(word: Word): string {
  return word.value !== null && SIMPLE.test(word.value) && !word.glob && !word.raw.startsWith('~')
    ? word.value
    : word.raw;
}
