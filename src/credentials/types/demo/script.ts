import type { ErrorType } from '../../../core/messages/message.js';

/** Something the demo model does before the tool calls of its turn. */
export type Step =
  | { kind: 'say' | 'think'; text: string }
  | { kind: 'stream'; count: number; delay_ms: number }
  | { kind: 'sleep'; ms: number }
  | { kind: 'fail'; type: ErrorType };

export interface ScriptedCall {
  name: string;
  /** Passed on as written, so that faulty JSON can be tried. */
  input: string;
}

/** One model call: steps, then parallel tool calls. Only the last turn of a script may be without calls. */
export interface Turn {
  steps: Step[];
  calls: ScriptedCall[];
}

export const FAILURES = [
  'authentication',
  'permission',
  'rate_limit',
  'invalid_request',
  'upstream',
  'connection',
] as const satisfies readonly ErrorType[];

const MAX_STREAM = 100_000;
const MAX_WAIT_MS = 3_600_000;

type Command = Step | ({ kind: 'tool' } & ScriptedCall) | { kind: 'then' };

const COMMANDS: Record<string, (rest: string) => Command | string> = {
  say: (rest) => (rest === '' ? 'needs a text' : { kind: 'say', text: rest }),
  think: (rest) => (rest === '' ? 'needs a text' : { kind: 'think', text: rest }),
  tool: parseTool,
  then: (rest) => (rest.trim() === '' ? { kind: 'then' } : 'takes nothing'),
  stream: parseStream,
  sleep: (rest) => {
    const ms = parseCount(rest.trim(), MAX_WAIT_MS);
    return ms === undefined ? `needs milliseconds up to ${MAX_WAIT_MS}` : { kind: 'sleep', ms };
  },
  fail: (rest) => {
    const type = FAILURES.find((name) => name === rest.trim());
    return type === undefined ? `needs one of ${FAILURES.join(', ')}` : { kind: 'fail', type };
  },
};

function parseTool(rest: string): Command | string {
  const [, name, input = ''] = /^\s*(\S+)\s*([^]*)$/.exec(rest) ?? [];
  return name === undefined ? 'needs a name' : { kind: 'tool', name, input: input === '' ? '{}' : input };
}

function parseStream(rest: string): Command | string {
  const [first = '', second = '0', ...more] = rest.trim().split(/\s+/);
  const count = parseCount(first, MAX_STREAM);
  const delay_ms = parseCount(second, MAX_WAIT_MS);
  if (count === undefined || delay_ms === undefined || more.length > 0) {
    return `needs a number up to ${MAX_STREAM} and perhaps a delay in milliseconds up to ${MAX_WAIT_MS}`;
  }
  return { kind: 'stream', count, delay_ms };
}

function parseCount(text: string, max: number): number | undefined {
  const value = /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  return value !== undefined && value <= max ? value : undefined;
}

function parseLine(line: string): Command | undefined {
  const [, name = '', rest = ''] = /^\/([a-z]+)(?:[ \t]([^]*))?$/.exec(line) ?? [];
  const parse = Object.hasOwn(COMMANDS, name) ? COMMANDS[name] : undefined;
  if (parse === undefined) return undefined;
  const command = parse(rest);
  return typeof command === 'string' ? { kind: 'say', text: `(/${name} ${command}.)` } : command;
}

/**
 * The turns of a script; a text without any command is answered by an echo. Neighbouring `/tool` lines are one turn's parallel calls,
 * and whatever follows them is the next turn, since their results come in between.
 */
export function parseScript(text: string): Turn[] {
  const turns: Turn[] = [];
  let turn: Turn | undefined;
  let ended = true;
  let scripted = false;
  for (const line of text.split(/\r?\n/)) {
    const known = parseLine(line);
    if (known !== undefined) scripted = true;
    else if (line.trim() === '') continue;
    const command: Command = known ?? { kind: 'say', text: line };
    if (command.kind === 'then') {
      ended ||= turn !== undefined && turn.calls.length > 0;
      continue;
    }
    if (turn === undefined || ended || (command.kind !== 'tool' && turn.calls.length > 0)) {
      turn = { steps: [], calls: [] };
      turns.push(turn);
      ended = false;
    }
    if (command.kind === 'tool') turn.calls.push({ name: command.name, input: command.input });
    else turn.steps.push(command);
  }
  return scripted ? turns : [{ steps: [{ kind: 'say', text: `You said: ${text}` }], calls: [] }];
}
