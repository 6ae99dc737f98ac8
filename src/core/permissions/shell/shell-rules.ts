import type { PermissionRule } from '../../messages/block.js';
import { contentOf } from '../permission-context.js';
import { escapeWildcards, hasWildcard, literalOf, wildcardFits } from '../wildcard.js';
import { isRunner } from './runners.js';
import type { ShellParser } from './shell-parser.js';
import { canonical } from './shell-word.js';
import { readScript, type ShellCommand, type ShellScript } from './shell-script.js';

const MAX_NESTING = 4;
const MAX_CANDIDATES = 2000;

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
  let texts: ReadonlySet<string> | null = null;
  for (const rule of rules) {
    const content = contentOf(rule);
    if (content === null) return rule;
    texts ??= candidates(script, parser);
    for (const text of texts) if (forbids(content, text)) return rule;
  }
  return null;
}

/** Every spelling of every command that the script may run, as far as it can be read. */
function candidates(script: ShellScript, parser: ShellParser): ReadonlySet<string> {
  const found = new Set<string>();
  const add = (text: string) => {
    if (found.size < MAX_CANDIDATES) found.add(text.replace(/\s+/g, ' ').trim());
  };
  const collect = (it: ShellScript, depth: number) => {
    add(it.source);
    for (const command of it.commands) {
      const nested = isRunner(command) || command.words[0]?.value === null;
      const lists = nested ? command.words.map((_, index) => command.words.slice(index)) : [command.words];
      add(command.raw);
      for (const words of lists) {
        const values = words.map((word) => word.value ?? word.raw);
        const name = values[0] ?? '';
        add(values.join(' '));
        add([name.slice(name.lastIndexOf('/') + 1), ...values.slice(1)].join(' '));
      }
      if (!nested || depth >= MAX_NESTING) continue;
      for (const word of command.words.slice(1)) {
        if (word.value !== null && /[\s;|&]/.test(word.value)) collect(readScript(word.value, parser, undefined), depth + 1);
      }
    }
  };
  collect(script, 0);
  return found;
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
  if (sub != null && SUBCOMMAND.test(sub) && !ANY_SUBCOMMAND.test(sub) && hasSubcommands(name)) return `${name} ${sub}:*`;
  return TOO_WIDE.test(name) ? escapeWildcards(command.text) : `${name}:*`;
}

const WITH_SUBCOMMANDS =
  /^(git|npm|pnpm|yarn|cargo|go|docker|podman|kubectl|gh|pip|pip3|poetry|uv|brew|apt|apt-get|systemctl|terraform|helm|dotnet|gradle|mvn|make|bundle|rails|composer)$/;

function hasSubcommands(name: string): boolean {
  return WITH_SUBCOMMANDS.test(name);
}
