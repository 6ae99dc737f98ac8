import { readFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { Language, Parser, type TreeCursor } from 'web-tree-sitter';
import { MAX_COMMAND, type ShellParser, type SyntaxNode } from '../../core/permissions/shell/shell-parser.js';

const MAX_NODES = 20_000;
const MAX_DEPTH = 200;
const MAX_PARSE_MS = 100;
/** The grammar takes time and memory in proportion to the square of these, which the memory of WebAssembly never gives back. */
const MAX_PIPES = 200;

let loading: Promise<ShellParser> | null = null;

/** The one parser of this process. Loads WebAssembly (no native code) at the first call; a failure is thrown to every caller. */
export function loadShellParser(): Promise<ShellParser> {
  loading ??= load();
  return loading;
}

async function load(): Promise<ShellParser> {
  const require = createRequire(import.meta.url);
  await Parser.init();
  const grammar = await readFile(require.resolve('tree-sitter-bash/tree-sitter-bash.wasm'));
  const parser = new Parser();
  parser.setLanguage(await Language.load(grammar));
  return new TreeSitterShellParser(parser);
}

class TreeSitterShellParser implements ShellParser {
  constructor(private readonly parser: Parser) {}

  parse(command: string): SyntaxNode | null {
    if (command.length > MAX_COMMAND || command.split('|').length > MAX_PIPES) return null;
    const end = performance.now() + MAX_PARSE_MS;
    // What the parser left of an earlier command that took too long must not become part of this one.
    this.parser.reset();
    const tree = this.parser.parse(command, null, { progressCallback: () => performance.now() > end });
    if (tree === null) return null;
    const cursor = tree.walk();
    try {
      return new Copy(cursor).node(0);
    } finally {
      cursor.delete();
      tree.delete();
    }
  }
}

/** Copies a tree out of the memory of the parser, which frees it. */
class Copy {
  private count = 0;

  constructor(private readonly cursor: TreeCursor) {}

  /** Null when the tree is too large. */
  node(depth: number): SyntaxNode | null {
    const { cursor } = this;
    this.count += 1;
    if (depth > MAX_DEPTH || this.count > MAX_NODES) return null;
    const children: SyntaxNode[] = [];
    const { nodeType: type, nodeIsNamed: named, nodeIsMissing: missing, startIndex: start, endIndex: end } = cursor;
    if (cursor.gotoFirstChild()) {
      do {
        const child = this.node(depth + 1);
        if (child === null) return null;
        children.push(child);
      } while (cursor.gotoNextSibling());
      cursor.gotoParent();
    }
    return { type, named, missing, start, end, children };
  }
}
