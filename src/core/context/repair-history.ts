import type { ContentBlock, TextBlock, ToolCallBlock, ToolResultBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { plainName } from './text.js';

const NO_RESULT = 'This tool call was not completed, so it has no result.';

/**
 * A conversation as strict providers take it, for a second attempt after one was rejected: no empty blocks or messages, every call with
 * one result behind it, no result without a call, ids of calls unique, their inputs JSON objects, thinking only with what the provider
 * signed it with, and no two messages of users in a row. What is fine is the same object.
 */
export function repairHistory(messages: readonly Msg[]): readonly Msg[] {
  const taken = new Set<string>();
  const repaired: Msg[] = [];
  for (const msg of messages) {
    const content = new MessageRepair(msg, taken).content();
    if (content.length === 0) continue;
    const whole = isSame(content, msg.content) ? msg : { ...msg, content };
    const last = repaired.at(-1);
    if (last?.role === 'user' && msg.role === 'user') {
      repaired[repaired.length - 1] = { ...last, content: [...last.content, ...content] };
    } else repaired.push(whole);
  }
  return isSame(repaired, messages) ? messages : repaired;
}

/** Repairs the blocks of one message; `taken` are the ids of calls of the whole conversation. */
class MessageRepair {
  private readonly made: ContentBlock[] = [];
  /** Calls that wait for their result: the id they came with, and the call as it is now. */
  private readonly open: { readonly id: string; readonly call: ToolCallBlock }[] = [];

  /** Results that are still to come, by the id they name. */
  private readonly coming = new Map<string, number>();

  constructor(
    private readonly msg: Msg,
    private readonly taken: Set<string>,
  ) {
    for (const { type, id } of msg.content) {
      if (type === 'tool_result') this.coming.set(id, (this.coming.get(id) ?? 0) + 1);
    }
  }

  content(): ContentBlock[] {
    for (const block of this.msg.content) {
      const beginsTurn =
        block.type === 'hint' || (block.type !== 'tool_result' && this.made.at(-1)?.type === 'tool_result');
      if (beginsTurn) this.closeCalls();
      this.block(block);
    }
    this.closeCalls();
    return this.made;
  }

  private block(block: ContentBlock): void {
    switch (block.type) {
      case 'tool_call':
        if (this.msg.role === 'assistant') this.call(block);
        else this.made.push(asText(block, `Call of the tool ${plainName(block.name)}: ${block.input}`));
        return;
      case 'tool_result':
        return this.result(block);
      case 'thinking':
        if (isSigned(block)) this.made.push(block);
        return;
      default:
        if (!isEmpty(block)) this.made.push(block);
    }
  }

  private call(call: ToolCallBlock): void {
    let { id } = call;
    for (let n = 2; this.taken.has(id); n += 1) id = `${call.id}-${n}`;
    this.taken.add(id);
    const input = isJsonObject(call.input) ? call.input : '{}';
    const fixed = id === call.id && input === call.input ? call : { ...call, id, input };
    this.open.push({ id: call.id, call: fixed });
    this.made.push(fixed);
  }

  private result(result: ToolResultBlock): void {
    this.coming.set(result.id, (this.coming.get(result.id) ?? 1) - 1);
    const index = this.open.findIndex(({ id }) => id === result.id);
    const [found] = index < 0 ? [] : this.open.splice(index, 1);
    if (found === undefined) {
      const output = result.output.flatMap((block): ContentBlock[] => (isEmpty(block) ? [] : [block]));
      this.made.push(asText(result, `Result of the tool ${plainName(result.name)}:`), ...output);
      return;
    }
    const { id } = found.call;
    if (id === result.id && result.state !== 'running') this.made.push(result);
    else this.made.push({ ...result, id, state: result.state === 'running' ? 'interrupted' : result.state });
  }

  /** Calls whose result does not come any more get one, before the next turn begins. */
  private closeCalls(): void {
    const coming = new Map(this.coming);
    for (const entry of this.open.splice(0)) {
      const left = coming.get(entry.id) ?? 0;
      coming.set(entry.id, left - 1);
      if (left > 0) this.open.push(entry);
      else this.made.push(noResult(entry.call));
    }
  }
}

function noResult({ id, name, created_at, finished_at }: ToolCallBlock): ToolResultBlock {
  const at = finished_at ?? created_at;
  const base = { created_at: at, finished_at: at };
  const output = [{ type: 'text' as const, id: `${id}-0`, text: NO_RESULT, ...base }];
  return { type: 'tool_result', id, name, output, state: 'interrupted', ...base };
}

const asText = ({ id, created_at, finished_at }: ContentBlock, text: string): TextBlock => ({
  type: 'text',
  id,
  text,
  created_at,
  finished_at,
});

function isEmpty(block: ContentBlock): boolean {
  if (block.type === 'text') return block.text.trim() === '';
  if (block.type === 'data') return block.source.type === 'base64' && block.source.data === '';
  return (
    block.type === 'hint' && (typeof block.hint === 'string' ? block.hint.trim() === '' : block.hint.every(isEmpty))
  );
}

function isSigned({ metadata }: ContentBlock): boolean {
  const options = metadata?.provider_options;
  return typeof options === 'object' && options !== null && Object.keys(options).length > 0;
}

function isJsonObject(text: string): boolean {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null && !Array.isArray(value);
  } catch {
    return false;
  }
}

const isSame = <T>(one: readonly T[], other: readonly T[]): boolean =>
  one.length === other.length && one.every((item, index) => item === other[index]);
