import type { AgentEvent } from '../events/agent-event.js';
import type { ToolCallBlock } from '../messages/block.js';

type Body = AgentEvent extends infer E ? (E extends AgentEvent ? Omit<E, 'id' | 'created_at'> : never) : never;

export interface SequenceBlock {
  id: string;
  kind: 'text' | 'thinking' | 'data' | 'tool_call' | 'hint';
  turn: number;
  open: boolean;
  call: 'ready' | 'asking' | 'submitted' | 'declined';
  result: 'none' | 'running' | 'ended';
}

export const TEXTS = ['', 'a', 'Hello ', 'wörld 🌍', '{"x": 1}', '\n'];

const RULE = { tool_name: 'shell', rule_content: 'ls*', behavior: 'allow' as const, source: 'suggested' };

/** Writes random contents; which event may come is for the subclass to know. */
export class SequenceWriter {
  protected readonly events: AgentEvent[] = [];
  protected counter = 0;
  protected reply = '';
  protected seed = 0;

  /** A further choice from the same tape value. */
  protected pick(count: number): number {
    this.seed = (Math.imul(this.seed, 1_103_515_245) + 12_345) >>> 0;
    return (this.seed >>> 8) % count;
  }

  protected one<T>(items: readonly T[]): T {
    return items[this.pick(items.length)] as T;
  }

  protected some<T>(items: readonly T[]): T[] {
    return items.filter(() => this.pick(3) > 0);
  }

  protected id(prefix: string): string {
    this.counter += 1;
    return `${prefix}${this.counter}`;
  }

  protected get now(): string {
    return new Date(Date.UTC(2026, 0, 1) + this.events.length).toISOString();
  }

  protected emit(body: Body): void {
    this.events.push({ id: `e${this.events.length}`, created_at: this.now, ...body });
  }

  protected metadata() {
    return this.pick(3) === 0 ? { metadata: { note: this.one(TEXTS) } } : {};
  }

  protected delta({ id, kind }: SequenceBlock): void {
    const reply_id = this.reply;
    const delta = this.one(TEXTS);
    const data = Buffer.from(delta).toString('base64');
    if (kind === 'text') this.emit({ type: 'TEXT_BLOCK_DELTA', reply_id, block_id: id, delta });
    if (kind === 'thinking') this.emit({ type: 'THINKING_BLOCK_DELTA', reply_id, block_id: id, delta });
    if (kind === 'data') this.emit({ type: 'DATA_BLOCK_DELTA', reply_id, block_id: id, data, media_type: 'image/png' });
    if (kind === 'tool_call') this.emit({ type: 'TOOL_CALL_DELTA', reply_id, tool_call_id: id, delta });
  }

  protected resultDelta({ id }: SequenceBlock): void {
    const of = { reply_id: this.reply, tool_call_id: id };
    const block_id = this.one([`${id}-0`, `${id}-1`, `${id}-2`, 'x']);
    const delta = this.one(TEXTS);
    const data = Buffer.from(delta).toString('base64');
    switch (this.pick(4)) {
      case 0:
        return this.emit({ type: 'TOOL_RESULT_TEXT_DELTA', ...of, delta });
      case 1:
        return this.emit({ type: 'TOOL_RESULT_TEXT_DELTA', ...of, block_id, delta });
      case 2:
        return this.emit({ type: 'TOOL_RESULT_DATA_DELTA', ...of, block_id, media_type: 'image/png', data });
      default:
        return this.emit({
          type: 'TOOL_RESULT_DATA_DELTA',
          ...of,
          block_id,
          media_type: 'a/b',
          url: 'https://x.test/',
        });
    }
  }

  protected callBlock(call: SequenceBlock, input: string): ToolCallBlock {
    const suggested_rules = this.pick(2) === 0 ? [RULE] : [];
    const base = { id: call.id, name: 'tool', input, state: 'pending' as const, suggested_rules };
    return { type: 'tool_call', ...base, created_at: this.now, finished_at: this.now };
  }
}
