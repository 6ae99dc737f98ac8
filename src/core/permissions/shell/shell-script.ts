import { hazard, type Hazard, type HazardCode, PLAIN_NODES, PLAIN_TOKENS, RISKY, textHazards } from './hazards.js';
import { commandHazards } from './runners.js';
import { MAX_COMMAND, type ShellParser, type SyntaxNode } from './shell-parser.js';
import { canonical, readWord, type Word } from './shell-word.js';

/** One program with its arguments, wherever in the script it stands. */
export interface ShellCommand {
  /** The name first; never empty. */
  readonly words: readonly Word[];
  /** As written, without redirections. */
  readonly raw: string;
  /** One spelling for commands that mean the same; what allow rules are compared with. */
  readonly text: string;
  /** The directories it may be run in; null when that is not known. */
  readonly cwds: readonly string[] | null;
}

export interface Redirect {
  readonly kind: 'read' | 'write';
  readonly target: Word;
  readonly cwds: readonly string[] | null;
}

/** What a script does as far as it can be read. With hazards the lists may lack something; without them they are complete. */
export interface ShellScript {
  readonly source: string;
  readonly commands: readonly ShellCommand[];
  readonly redirects: readonly Redirect[];
  readonly hazards: readonly Hazard[];
}

const SAFE_DESCRIPTOR = /^\d+$|^-$/;
const VARIABLE = /^\$(\w+|[*@#?!$-])$/;
const MAX_CWDS = 8;

/** Variables that change how a program prints, not what it runs. */
const HARMLESS_VARIABLES = new Set(
  'CI FORCE_COLOR LANG LC_ALL LC_CTYPE NODE_ENV NO_COLOR PYTHONUNBUFFERED RUST_BACKTRACE TERM TZ'.split(' '),
);

export function readScript(source: string, parser: ShellParser, cwd: string | undefined): ShellScript {
  if (source.length > MAX_COMMAND) {
    return { source, commands: [], redirects: [], hazards: [hazard('too_complex')] };
  }
  const root = parser.parse(source);
  if (root === null) return { source, commands: [], redirects: [], hazards: [hazard('too_complex')] };
  return new Reader(source, cwd).read(root);
}

class Reader {
  private readonly commands: ShellCommand[] = [];
  private readonly redirects: Redirect[] = [];
  private readonly hazards: Hazard[] = [];
  private cwds: readonly string[] | null;
  /** Up to where the source is accounted for by tokens. */
  private covered = 0;

  constructor(
    private readonly source: string,
    cwd: string | undefined,
  ) {
    this.cwds = cwd === undefined ? null : [cwd];
  }

  read(root: SyntaxNode): ShellScript {
    this.visit(root);
    this.cover(this.source.length, this.source.length);
    const { source, commands, redirects, hazards } = this;
    // What else was found in a text that is not understood says little.
    const errors = hazards.filter((it) => it.code === 'parse_error');
    const others = hazards.filter((it) => it.code !== 'parse_error');
    return { source, commands, redirects, hazards: [...textHazards(source), ...errors, ...others] };
  }

  private flag(code: HazardCode): void {
    if (!this.hazards.some((it) => it.code === code)) this.hazards.push(hazard(code));
  }

  private visit(node: SyntaxNode, parent?: SyntaxNode): void {
    if (node.missing) this.flag('parse_error');
    const risk = RISKY.get(node.type);
    if (risk !== undefined) this.flag(risk);
    else if (node.named && node.type === 'variable_assignment') this.assignment(node, parent);
    else if (node.type === '$' && parent?.type !== 'simple_expansion') this.flag('ansi_c_quoting');
    else if (!(node.named ? PLAIN_NODES : PLAIN_TOKENS).has(node.type)) this.flag('unsupported_syntax');
    if (node.type === 'simple_expansion' && !VARIABLE.test(this.source.slice(node.start, node.end)))
      this.flag('parse_error');
    // A shell takes `!` for a negation only when it stands alone.
    if (node.type === '!' && parent?.type === 'negated_command' && /^\S/.test(this.source.slice(node.end)))
      this.flag('parse_error');
    if (node.type === 'command') this.command(node);
    if (node.type === 'file_redirect') this.redirect(node);
    if (node.children.length === 0) this.cover(node.start, node.end);
    for (const child of node.children) this.visit(child, node);
  }

  private assignment(node: SyntaxNode, parent: SyntaxNode | undefined): void {
    if (parent?.type !== 'command') return this.flag('assignment');
    const text = this.source.slice(node.start, node.end);
    const name = text.slice(0, text.indexOf('='));
    if (!HARMLESS_VARIABLES.has(name) || !/^[\w.:/@-]*$/.test(text.slice(name.length + 1))) this.flag('environment');
  }

  /** Between two tokens there is nothing but blanks, whatever the parser takes for one. */
  private cover(start: number, end: number): void {
    if (start > this.covered && /[^ \t\n]/.test(this.source.slice(this.covered, start))) this.flag('parse_error');
    this.covered = Math.max(this.covered, end);
  }

  private command(node: SyntaxNode): void {
    const words: Word[] = [];
    let first = -1;
    let last = -1;
    for (const child of node.children) {
      if (!child.named || child.type === 'variable_assignment' || child.type.endsWith('_redirect')) continue;
      const { word, hazards } = readWord(child, this.source);
      for (const code of hazards) this.flag(code);
      words.push(word);
      // What touches is one word to a shell.
      if (child.start === last) this.flag('parse_error');
      if (first < 0) first = child.start;
      last = child.end;
    }
    if (words.length === 0) return this.flag('unsupported_syntax');
    const raw = this.source.slice(first, last);
    const command = { words, raw, text: words.map(canonical).join(' '), cwds: this.cwds };
    this.commands.push(command);
    for (const found of commandHazards(words)) this.flag(found);
    this.changeDirectory(words);
  }

  /** A `cd` may fail, or be skipped: afterwards it is one of the directories so far or the new one. */
  private changeDirectory(words: readonly Word[]): void {
    const name = words[0]?.value;
    if (name === 'pushd' || name === 'popd') this.cwds = null;
    if (name !== 'cd') return;
    const target = words.length === 2 ? words[1] : undefined;
    const plain = target !== undefined && target.value !== null && !target.glob && !target.tilde;
    if (!plain || this.cwds === null || target.value === null || target.value.startsWith('-')) this.cwds = null;
    else {
      const to = target.value;
      const next = new Set([...this.cwds, ...this.cwds.map((cwd) => (to.startsWith('/') ? to : `${cwd}/${to}`))]);
      this.cwds = next.size > MAX_CWDS ? null : [...next];
    }
  }

  private redirect(node: SyntaxNode): void {
    const targets = node.children.filter((child) => child.named && child.type !== 'file_descriptor');
    const operator = node.children.find((child) => !child.named)?.type;
    const closes = operator === '>&-' || operator === '<&-';
    if (operator === undefined || targets.length > 1 || (closes && targets.length > 0)) return this.flag('redirection');
    const target = targets[0];
    if (target === undefined) {
      if (!closes) this.flag('redirection');
      return;
    }
    const { word, hazards } = readWord(target, this.source);
    for (const code of hazards) this.flag(code);
    if (operator === '<&' || operator === '>&') {
      if (word.value === null || !SAFE_DESCRIPTOR.test(word.value)) this.flag('redirection');
      return;
    }
    if (word.value !== null && /^\/dev\/(tcp|udp)\//i.test(word.value)) this.flag('network_redirection');
    this.redirects.push({ kind: operator === '<' ? 'read' : 'write', target: word, cwds: this.cwds });
  }
}
