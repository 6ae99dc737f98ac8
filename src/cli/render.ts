import { stripVTControlCharacters } from 'node:util';
import type { AgentEvent, EventOf } from '../core/events/agent-event.js';

/** What a reply's end means to whoever waits for it. */
export type ReplyEnd = EventOf<'REPLY_END'>['finished_reason'];

const STYLES = { dim: 2, red: 31, yellow: 33, cyan: 36 } as const;
type Style = keyof typeof STYLES;

/** A tool result on the screen is a hint at what came back, not the whole of it. */
const MAX_RESULT = 2000;

// What is left of control characters is taken out: a model's text must not steer the terminal, nor turn around what is read.
const CONTROL = /[^\P{Cc}\n\t]|\p{Bidi_Control}/gu;

export function printable(text: string): string {
  return stripVTControlCharacters(text).replace(CONTROL, '');
}

interface OpenCall {
  readonly name: string;
  text: string;
}

/** Writes the events of a reply as text for a terminal, as they come. */
export class Renderer {
  private atLineStart = true;
  private flowing: string | undefined;
  private readonly calls = new Map<string, OpenCall>();
  private readonly results = new Map<string, OpenCall>();

  constructor(
    private readonly write: (text: string) => void,
    private readonly colours: boolean,
  ) {}

  event(event: AgentEvent): void {
    switch (event.type) {
      case 'TEXT_BLOCK_DELTA':
        return this.flow(event.block_id, event.delta);
      case 'THINKING_BLOCK_DELTA':
        return this.flow(event.block_id, event.delta, 'dim');
      case 'TEXT_BLOCK_END':
      case 'THINKING_BLOCK_END':
        return this.endLine();
      case 'DATA_BLOCK_START':
        return this.line(`[${event.media_type}]`, 'dim');
      case 'HINT_BLOCK':
        return this.line(typeof event.hint === 'string' ? event.hint : '[hint]', 'dim');
      case 'TOOL_CALL_START':
        this.calls.set(event.tool_call_id, { name: event.tool_call_name, text: '' });
        return;
      case 'TOOL_CALL_DELTA':
        return append(this.calls.get(event.tool_call_id), event.delta);
      case 'TOOL_CALL_END':
        return this.closeCall(event.tool_call_id);
      case 'TOOL_RESULT_START':
        this.results.set(event.tool_call_id, { name: event.tool_call_name, text: '' });
        return;
      case 'TOOL_RESULT_TEXT_DELTA':
        return append(this.results.get(event.tool_call_id), event.delta);
      case 'TOOL_RESULT_DATA_DELTA':
        return append(this.results.get(event.tool_call_id), `[${event.media_type}]`);
      case 'TOOL_RESULT_END':
        return this.closeResult(event);
      case 'EXCEED_MAX_ITERS':
        return this.line('The agent stopped: it took as many steps as it may.', 'yellow');
      case 'CUSTOM':
        if (event.name === 'reply_rewound')
          this.line('(the service recovered; the reply goes on from its last checkpoint)', 'dim');
        return;
      case 'REPLY_END':
        return this.end(event);
      default:
        return;
    }
  }

  /** A line of its own, whatever was being written. */
  line(text: string, style?: Style): void {
    this.endLine();
    this.put(`${printable(text)}\n`, style);
  }

  error(text: string): void {
    this.line(text, 'red');
  }

  /** Text that goes on in the same block; another block begins on a line of its own. */
  private flow(block: string, delta: string, style?: Style): void {
    if (this.flowing !== block) this.endLine();
    this.flowing = block;
    this.put(printable(delta), style);
  }

  private closeCall(id: string): void {
    const call = this.calls.get(id);
    if (!call) return;
    this.calls.delete(id);
    this.line(`→ ${call.name} ${call.text}`, 'cyan');
  }

  private closeResult({ tool_call_id, state }: EventOf<'TOOL_RESULT_END'>): void {
    const result = this.results.get(tool_call_id);
    if (!result) return;
    this.results.delete(tool_call_id);
    const text = result.text.length > MAX_RESULT ? `${result.text.slice(0, MAX_RESULT)}…` : result.text;
    if (state === 'success') this.line(`← ${result.name}: ${text}`, 'cyan');
    else this.line(`← ${result.name} (${state}): ${text}`, 'red');
  }

  private end({ finished_reason, error }: EventOf<'REPLY_END'>): void {
    if (finished_reason === 'error')
      this.error(`Error (${error?.type ?? 'unknown'}): ${error?.message ?? 'no reason given'}`);
    else if (finished_reason === 'interrupted') this.line('(interrupted)', 'dim');
    this.endLine();
  }

  private endLine(): void {
    this.flowing = undefined;
    if (!this.atLineStart) this.put('\n');
  }

  private put(text: string, style?: Style): void {
    if (text === '') return;
    this.atLineStart = text.endsWith('\n');
    this.write(style && this.colours ? `\u001b[${STYLES[style]}m${text}\u001b[0m` : text);
  }
}

function append(open: OpenCall | undefined, text: string): void {
  if (open) open.text += text;
}
