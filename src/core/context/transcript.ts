import type { ContentBlock, DataBlock, TextBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { plainName, withoutMiddle } from './text.js';
import type { TokenCounter } from './token-counter.js';

/**
 * A conversation in words, one entry per block, oldest first. As words it is taken by every model, whatever tools, files and signatures it
 * holds. No entry is longer than `maxChars` UTF-16 units by much. Thinking is left out.
 */
export function transcriptOf(messages: readonly Msg[], maxChars: number): string[] {
  return messages.flatMap((msg) =>
    msg.content.flatMap((block) => {
      const text = wordsOf(block).trim();
      return text === '' ? [] : [`[${headOf(msg, block)}]\n${withoutMiddle(text, maxChars)}`];
    }),
  );
}

/** The newest entries that are within `max` tokens. */
export function newestEntries(entries: readonly string[], counter: TokenCounter, max: number): string[] {
  let left = max;
  const first = entries.findLastIndex((entry) => (left -= counter.text(entry)) < 0) + 1;
  return entries.slice(first);
}

/** Without the oldest entries, a quarter of all tokens at least; the newest one stays until it is alone. */
export function withoutOldestQuarter(entries: readonly string[], counter: TokenCounter): string[] {
  const sizes = entries.map((entry) => counter.text(entry));
  let left = sizes.reduce((sum, size) => sum + size, 0) / 4;
  const end = sizes.findIndex((size) => (left -= size) <= 0) + 1;
  return entries.slice(entries.length > 1 ? Math.min(end, entries.length - 1) : 1);
}

/** What a message says, in words. */
export function plainText({ content }: Msg): string {
  return content
    .map((block) => wordsOf(block).trim())
    .filter((text) => text !== '')
    .join('\n');
}

function headOf(msg: Msg, block: ContentBlock): string {
  switch (block.type) {
    case 'tool_call':
      return `tool call ${plainName(block.name)}`;
    case 'tool_result':
      return `tool result ${plainName(block.name)}${block.state === 'success' ? '' : `, ${block.state}`}`;
    case 'hint':
      return 'note';
    default:
      return msg.role;
  }
}

function wordsOf(block: ContentBlock): string {
  switch (block.type) {
    case 'text':
      return block.text;
    case 'thinking':
      return '';
    case 'data':
      return mention(block);
    case 'hint':
      return typeof block.hint === 'string' ? block.hint : joined(block.hint);
    case 'tool_call':
      return block.input;
    case 'tool_result':
      return joined(block.output);
  }
}

const joined = (blocks: readonly (TextBlock | DataBlock)[]): string =>
  blocks.map((block) => (block.type === 'text' ? block.text : mention(block))).join('\n');

function mention({ name, source }: DataBlock): string {
  const parts = [source.media_type, name, source.type === 'url' ? source.url : null];
  return `[file ${parts.flatMap((part) => (part === null ? [] : [plainName(part)])).join(' ')}]`;
}
