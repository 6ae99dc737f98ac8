import type { PermissionRule } from '../../messages/block.js';
import { contentOf } from '../permission-context.js';
import { escapeWildcards, hasWildcard, literalOf, wildcardFits } from '../wildcard.js';
import { isRunner } from './runners.js';
import type { ShellParser } from './shell-parser.js';
import { canonical } from './shell-word.js';
import { readScript, type ShellCommand, type ShellScript } from './shell-script.js';

const MAX_NESTING = 4;
const MAX_CANDIDATES = 2000;
const MAX_CHARACTERS = 500_000;

/** `prefix:*` at the end stands for the prefix as a whole word, alone or with anything behind it. */
function prefixOf(content: string): string | null {
  return content.endsWith(':*') && content.length > 2 ? content.slice(0, -2) : null;
}

function coversPrefix(prefix: string, text: string): boolean {
  return text === prefix || text.startsWith(prefix.endsWith(' ') ? prefix : `${prefix} `);
}

/** An allow rule says exactly what it means: a prefix, wildcards, or the whole command. */
export function allows(rule: PermissionRule, text: string): boolean {
  const content = contentOf(rule);
  if (content === null) return true;
  const prefix = prefixOf(content);
  if (prefix !== null) return coversPrefix(prefix, text);
  return hasWildcard(content) ? wildcardFits(content, text) : literalOf(content) === text;
}

/** A deny or ask rule without wildcards fits wherever its text occurs. */
function forbids(content: string, text: string): boolean {
  const prefix = prefixOf(content);
  if (prefix !== null) return coversPrefix(prefix, text);
  return hasWildcard(content) ? wildcardFits(content, text) : text.includes(literalOf(content));
}

/**
 * The first deny or ask rule that fits any part of the script. A part counts however it is quoted, by whatever path its program is named,
 * and also when another program is to run it.
 */
export function firstForbidding(
  rules: readonly PermissionRule[],
  script: ShellScript,
  parser: ShellParser,
): PermissionRule | null {
  if (rules.length === 0) return null;
  const texts = candidates(script, parser);
  for (const rule of rules) {
    const content = contentOf(rule);
    // More than can be looked at may hold anything.
    if (content === null || texts === null) return rule;
    for (const text of texts) if (forbids(content, text)) return rule;
  }
  return null;
}

/** Every spelling of every command that the script may run, as far as it can be read; null when they are too many. */
function candidates(script: ShellScript, parser: ShellParser): ReadonlySet<string> | null {
  const found = new Set<string>();
  let length = 0;
  const add = (text: string) => {
    length += text.length;
    if (!isTooMuch()) found.add(text.replace(/\s+/g, ' ').trim());
  };
  const isTooMuch = () => found.size > MAX_CANDIDATES || length > MAX_CHARACTERS;
  const collect = (it: ShellScript, depth: number) => {
    add(it.source);
    for (const command of it.commands) {
      add(command.raw);
      const values = command.words.map((word) => word.value ?? word.raw);
      const nested = isRunner(command.words) || command.words[0]?.value === null;
      const starts = nested ? values.length : 1;
      for (let start = 0; start < starts && !isTooMuch(); start += 1) {
        const name = values[start] ?? '';
        add(values.slice(start).join(' '));
        add([name.slice(name.lastIndexOf('/') + 1), ...values.slice(start + 1)].join(' '));
      }
      if (isTooMuch()) return;
      if (!nested || depth >= MAX_NESTING) continue;
      for (const word of command.words.slice(1)) {
        if (word.value !== null && /[\s;|&]/.test(word.value))
          collect(readScript(word.value, parser, undefined), depth + 1);
      }
    }
  };
  collect(script, 0);
  return isTooMuch() ? null : found;
}

/** Words after which what runs is up to the arguments: a rule for all of them would allow anything. */
const TOO_WIDE =
  /^(rm|mv|cp|dd|chmod|chown|kill|node|deno|bun|python[\d.]*|ruby|perl|php|lua|awk|gawk|make|npx|bunx|uvx|docker|podman|kubectl|curl|wget|nc|osascript|git|npm|pnpm|yarn|sed|tee|ln)$/;
const SUBCOMMAND = /^[A-Za-z][\w:-]*$/;
const ANY_SUBCOMMAND = /^(exec|run|x|dlx|config|c)$/;

/** The rule content that covers this command and its like; the command alone when its like may do anything. */
export function suggestionFor(command: ShellCommand): string {
  const [name, sub] = command.words.slice(0, 2).map((word) => (canonical(word) === word.value ? word.value : null));
  if (name === undefined || name === null || name.includes(':')) return escapeWildcards(command.text);
  if (sub != null && SUBCOMMAND.test(sub) && !ANY_SUBCOMMAND.test(sub) && hasSubcommands(name))
    return `${name} ${sub}:*`;
  return TOO_WIDE.test(name) ? escapeWildcards(command.text) : `${name}:*`;
}

const WITH_SUBCOMMANDS =
  /^(git|npm|pnpm|yarn|cargo|go|docker|podman|kubectl|gh|pip|pip3|poetry|uv|brew|apt|apt-get|systemctl|terraform|helm|dotnet|gradle|mvn|make|bundle|rails|composer)$/;

function hasSubcommands(name: string): boolean {
  return WITH_SUBCOMMANDS.test(name);
}
