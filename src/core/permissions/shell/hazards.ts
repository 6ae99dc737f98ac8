import { hiddenCharacter } from '../hidden-characters.js';

/** Why it cannot be said what a command does: each of these is asked, whatever the allow rules say. */
export type HazardCode =
  | 'parse_error'
  | 'too_complex'
  | 'unsupported_syntax'
  | 'hidden_character'
  | 'confusable'
  | 'line_continuation'
  | 'command_substitution'
  | 'process_substitution'
  | 'complex_expansion'
  | 'brace_expansion'
  | 'ansi_c_quoting'
  | 'subshell'
  | 'command_group'
  | 'control_flow'
  | 'function_definition'
  | 'test_expression'
  | 'here_document'
  | 'assignment'
  | 'environment'
  | 'background'
  | 'redirection'
  | 'network_redirection'
  | 'dynamic_command'
  | 'shell_state'
  | 'runs_other_command';

export interface Hazard {
  readonly code: HazardCode;
  readonly message: string;
}

const MESSAGES: Record<HazardCode, string> = {
  parse_error: 'The command is not valid Bash.',
  too_complex: 'The command is too long or too deeply nested to be judged.',
  unsupported_syntax: 'The command uses shell syntax that is not judged.',
  hidden_character: 'The command has a character that cannot be seen',
  confusable: 'The command has a letter or dash that looks like another one.',
  line_continuation: 'The command continues over lines.',
  command_substitution: 'The command runs what another command prints.',
  process_substitution: 'The command runs another command in an argument.',
  complex_expansion: 'The command computes an argument.',
  brace_expansion: 'The command has braces that become several arguments.',
  ansi_c_quoting: 'The command has an argument in an encoded form.',
  subshell: 'The command opens a subshell.',
  command_group: 'The command groups commands.',
  control_flow: 'The command has loops or conditions.',
  function_definition: 'The command defines a function.',
  test_expression: 'The command evaluates a test expression.',
  here_document: 'The command has an input document.',
  assignment: 'The command sets shell variables.',
  environment: 'The command changes the environment of a program.',
  background: 'The command leaves something running.',
  redirection: 'The command redirects in an unusual way.',
  network_redirection: 'The command redirects to a network connection.',
  dynamic_command: 'What the command runs is known only when it runs.',
  shell_state: 'The command changes what later commands mean.',
  runs_other_command: 'The command has another program run a command.',
};

export function hazard(code: HazardCode, detail?: string): Hazard {
  return { code, message: detail === undefined ? MESSAGES[code] : `${MESSAGES[code]}: ${detail}` };
}

/** What can be said of the text alone, where a parser and a shell might read it differently. */
export function textHazards(command: string): Hazard[] {
  const found: Hazard[] = [];
  const hidden = hiddenCharacter(command);
  if (hidden !== null) found.push(hazard('hidden_character', hidden));
  if (/\\\n/.test(command)) found.push(hazard('line_continuation'));
  return found;
}

/** Nodes whose meaning is fully read from their children or text. Whatever is neither here nor in `RISKY` is `unsupported_syntax`. */
export const PLAIN_NODES: ReadonlySet<string> = new Set([
  'program',
  'list',
  'pipeline',
  'negated_command',
  'redirected_statement',
  'command',
  'command_name',
  'word',
  'number',
  'string',
  'string_content',
  'raw_string',
  'concatenation',
  'simple_expansion',
  'variable_name',
  'special_variable_name',
  'file_redirect',
  'file_descriptor',
  'comment',
]);

export const PLAIN_TOKENS: ReadonlySet<string> = new Set([
  '&&',
  '||',
  '|',
  '|&',
  ';',
  '\n',
  '"',
  '$',
  '!',
  '=',
  '>',
  '>>',
  '<',
  '&>',
  '&>>',
  '>&',
  '<&',
  '>|',
  '>&-',
  '<&-',
]);

export const RISKY: ReadonlyMap<string, HazardCode> = new Map<string, HazardCode>([
  ['ERROR', 'parse_error'],
  ['command_substitution', 'command_substitution'],
  ['process_substitution', 'process_substitution'],
  ['expansion', 'complex_expansion'],
  ['arithmetic_expansion', 'complex_expansion'],
  ['array', 'complex_expansion'],
  ['subscript', 'complex_expansion'],
  ['brace_expression', 'brace_expansion'],
  ['ansi_c_string', 'ansi_c_quoting'],
  ['translated_string', 'ansi_c_quoting'],
  ['subshell', 'subshell'],
  ['compound_statement', 'command_group'],
  ['if_statement', 'control_flow'],
  ['for_statement', 'control_flow'],
  ['c_style_for_statement', 'control_flow'],
  ['while_statement', 'control_flow'],
  ['case_statement', 'control_flow'],
  ['function_definition', 'function_definition'],
  ['test_command', 'test_expression'],
  ['heredoc_redirect', 'here_document'],
  ['herestring_redirect', 'here_document'],
  ['variable_assignments', 'assignment'],
  ['declaration_command', 'assignment'],
  ['unset_command', 'assignment'],
  ['&', 'background'],
]);
