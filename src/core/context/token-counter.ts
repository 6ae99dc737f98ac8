import type { ContentBlock, DataBlock, DataSource, TextBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { ToolSpec } from '../models/chat-model.js';
import { headOf } from './text.js';
import type { Tokenizer } from './tokenizer.js';

/** What frames a message, and a call or a result in it. */
const PER_MESSAGE = 4;
const PER_CALL = 8;

/** What a file costs, by its kind: cautious, for nobody but the provider knows its size in tokens. */
const DATA_TOKENS: readonly [prefix: string, tokens: number][] = [
  ['image/', 1600],
  ['audio/', 2000],
  ['video/', 12_000],
  ['application/pdf', 6000],
];
/** Named in words. */
const OTHER_DATA_TOKENS = 100;

/** System prompts whose tokens are remembered. */
const MAX_SYSTEMS = 500;

/** `exact` is null as long as nobody needed it. */
interface Size {
  readonly bound: number;
  exact: number | null;
  /** Blocks a message had when it was measured. */
  readonly blocks: number;
}

/** What is counted in one piece: its texts and what else it costs. */
interface Parts {
  texts: string[];
  fixed: number;
}

/**
 * Tokens of a conversation. A token is at least one byte, so the bytes of a text bound its tokens: a short conversation is never tokenised.
 * What was counted is remembered as long as its block lives, but only of blocks that no longer change; so all replies share a counter.
 */
export class TokenCounter {
  private readonly sizes = new WeakMap<object, Size>();
  private readonly systems = new Map<string, number>();

  /** `factor`: tokens of the model that is called per token of the tokenizer. */
  constructor(
    private readonly tokenizer: Tokenizer,
    private readonly factor = 1,
  ) {}

  text(text: string): number {
    return text === '' ? 0 : Math.ceil(this.tokenizer.count(text) * this.factor);
  }

  message(msg: Msg): number {
    const size = this.sizeOfMessage(msg);
    size.exact ??= PER_MESSAGE + sum(msg.content, (block) => this.block(block));
    return size.exact;
  }

  block(block: ContentBlock): number {
    const size = this.sizeOfBlock(block);
    size.exact ??= this.exact(partsOf(block));
    return size.exact;
  }

  data(source: DataSource): number {
    return this.exact(dataParts(source, null));
  }

  /** All of a call, exactly. */
  total(system: string, tools: readonly ToolSpec[], messages: readonly Msg[]): number {
    return this.overhead(system, tools) + sum(messages, (msg) => this.message(msg));
  }

  /** What every call carries besides the conversation. */
  overhead(system: string, tools: readonly ToolSpec[]): number {
    return this.system(system) + sum(tools, (tool) => this.tool(tool));
  }

  /** Whether a call stays below `limit` tokens. The largest messages are counted first, and none that need not be. */
  isBelow(limit: number, system: string, tools: readonly ToolSpec[], messages: readonly Msg[]): boolean {
    const overhead =
      (this.systems.get(system) ?? this.bound(system)) + sum(tools, (tool) => known(this.sizeOfTool(tool)));
    let total = overhead + sum(messages, (msg) => this.knownOfMessage(msg));
    if (total < limit) return true;
    total += this.overhead(system, tools) - overhead;
    const uncounted = messages
      .map((msg) => ({ msg, known: this.knownOfMessage(msg) }))
      .filter(({ msg }) => this.sizeOfMessage(msg).exact === null)
      .sort((one, other) => other.known - one.known);
    for (const { msg, known } of uncounted) {
      if (total < limit) return true;
      total += this.message(msg) - known;
    }
    return total < limit;
  }

  /** The beginning of a text that is within `limit` tokens. */
  head(text: string, limit: number): string {
    let [end, left] = [0, Math.floor(limit)];
    while (left > 0 && end < text.length) {
      // What has no more bytes than tokens are left fits for sure; it has fewer tokens, so there is room for more.
      const units = Math.floor(left / this.factor);
      let piece = headOf(text.slice(end, end + units + 1), units);
      if (Buffer.byteLength(piece) > units) piece = headOf(piece, Math.floor(units / 3));
      if (piece === '') break;
      end += piece.length;
      left -= this.text(piece);
    }
    return text.slice(0, end);
  }

  /** Never below the tokens of the text. */
  bound(text: string): number {
    return Math.ceil(Buffer.byteLength(text) * this.factor);
  }

  private system(text: string): number {
    let tokens = this.systems.get(text);
    if (tokens === undefined) {
      tokens = this.text(text);
      this.systems.set(text, tokens);
      const [oldest] = this.systems.keys();
      if (this.systems.size > MAX_SYSTEMS && oldest !== undefined) this.systems.delete(oldest);
    }
    return tokens;
  }

  private tool(tool: ToolSpec): number {
    const size = this.sizeOfTool(tool);
    const schema = this.sizeOfSchema(tool.input_schema);
    schema.exact ??= this.text(JSON.stringify(tool.input_schema));
    size.exact ??= PER_CALL + this.text(tool.name) + this.text(tool.description) + schema.exact;
    return size.exact;
  }

  private sizeOfTool(tool: ToolSpec): Size {
    const kept = this.sizes.get(tool);
    if (kept !== undefined) return kept;
    const { bound: schema } = this.sizeOfSchema(tool.input_schema);
    const bound = PER_CALL + this.bound(tool.name) + this.bound(tool.description) + schema;
    return this.keep(tool, { bound, exact: null, blocks: 0 });
  }

  /** Every reply has specs of its own, but the schemas of its tools are the same objects. */
  private sizeOfSchema(schema: Record<string, unknown>): Size {
    const kept = this.sizes.get(schema);
    if (kept !== undefined) return kept;
    return this.keep(schema, { bound: this.bound(JSON.stringify(schema)), exact: null, blocks: 0 });
  }

  private sizeOfMessage(msg: Msg): Size {
    const kept = this.sizes.get(msg);
    if (kept !== undefined && kept.blocks === msg.content.length && msg.finished_at !== null) return kept;
    const bound = PER_MESSAGE + sum(msg.content, (block) => this.sizeOfBlock(block).bound);
    const size: Size = { bound, exact: null, blocks: msg.content.length };
    return msg.finished_at !== null && msg.content.every(isSettled) ? this.keep(msg, size) : size;
  }

  /** An unfinished message is as well known as its blocks. */
  private knownOfMessage(msg: Msg): number {
    if (msg.finished_at !== null) return known(this.sizeOfMessage(msg));
    return PER_MESSAGE + sum(msg.content, (block) => known(this.sizeOfBlock(block)));
  }

  private sizeOfBlock(block: ContentBlock): Size {
    const kept = this.sizes.get(block);
    if (kept !== undefined) return kept;
    const { texts, fixed } = partsOf(block);
    const size: Size = { bound: fixed + sum(texts, (text) => this.bound(text)), exact: null, blocks: 0 };
    return isSettled(block) ? this.keep(block, size) : size;
  }

  private exact({ texts, fixed }: Parts): number {
    return fixed + sum(texts, (text) => this.text(text));
  }

  private keep(key: object, size: Size): Size {
    this.sizes.set(key, size);
    return size;
  }
}

/** Nothing changes a settled block any more; the input of a call may be edited until it has been run. */
function isSettled(block: ContentBlock): boolean {
  if (block.finished_at === null) return false;
  if (block.type === 'tool_call') return block.state === 'finished';
  return block.type !== 'tool_result' || block.state !== 'running';
}

function partsOf(block: ContentBlock): Parts {
  switch (block.type) {
    case 'text':
      return { texts: [block.text], fixed: 0 };
    case 'thinking':
      return { texts: [block.thinking], fixed: 0 };
    case 'data':
      return dataParts(block.source, block.name);
    case 'hint':
      return typeof block.hint === 'string' ? { texts: [block.hint], fixed: PER_MESSAGE } : joined(block.hint, 0);
    case 'tool_call':
      return { texts: [block.name, block.input], fixed: PER_CALL };
    case 'tool_result':
      return joined(block.output, PER_CALL);
  }
}

function joined(blocks: readonly (TextBlock | DataBlock)[], fixed: number): Parts {
  const parts = blocks.map(partsOf);
  return { texts: parts.flatMap((part) => part.texts), fixed: fixed + sum(parts, (part) => part.fixed) };
}

/** Files of text go to the model as the text they hold. */
function dataParts(source: DataSource, name: string | null): Parts {
  const type = source.media_type.toLowerCase();
  if (source.type === 'base64' && (type.startsWith('text/') || type.startsWith('application/json'))) {
    return { texts: [name ?? '', Buffer.from(source.data, 'base64').toString('utf8')], fixed: 0 };
  }
  const [, fixed] = DATA_TOKENS.find(([prefix]) => type.startsWith(prefix)) ?? ['', OTHER_DATA_TOKENS];
  return { texts: [], fixed };
}

const known = ({ bound, exact }: Size): number => exact ?? bound;

function sum<T>(items: readonly T[], of: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += of(item);
  return total;
}
