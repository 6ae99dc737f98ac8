/** A node of a Bash syntax tree, with the node types of the tree-sitter-bash grammar. Offsets count UTF-16 units of the command. */
export interface SyntaxNode {
  readonly type: string;
  /** False for a token that stands for itself, such as `&&`. */
  readonly named: boolean;
  /** Put in by the parser to mend an error. */
  readonly missing: boolean;
  readonly start: number;
  readonly end: number;
  readonly children: readonly SyntaxNode[];
}

export const MAX_COMMAND = 8192;

/** Parses Bash. Synchronous and without effects: whatever must be loaded was loaded before it is handed to the core. */
export interface ShellParser {
  /**
   * The tree of a command of at most `MAX_COMMAND` units; errors are nodes of type `ERROR`. Null when it is too large or too deep to be
   * judged. Does not throw.
   */
  parse(command: string): SyntaxNode | null;
}
