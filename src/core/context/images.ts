import type { ContentBlock, DataBlock, TextBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { plainName, reminder } from './text.js';

type Inner = TextBlock | DataBlock;
const NONE: readonly Inner[] = [];

type PathOf = (block: DataBlock) => string | null;

const isImage = (block: ContentBlock): block is DataBlock =>
  block.type === 'data' && block.source.media_type.toLowerCase().startsWith('image/');

/** Blocks in a block: the output of a result, the parts of a hint. */
function innerOf(block: ContentBlock): readonly Inner[] {
  if (block.type === 'tool_result') return block.output;
  return block.type === 'hint' && typeof block.hint !== 'string' ? block.hint : NONE;
}

/** Of messages that were finished, and had that many blocks. */
const known = new WeakMap<Msg, { readonly blocks: number; readonly images: readonly DataBlock[] }>();

/** The images of a conversation, oldest first. */
export function imagesIn(messages: readonly Msg[]): DataBlock[] {
  const images: DataBlock[] = [];
  for (const msg of messages) {
    const kept = msg.finished_at === null ? undefined : known.get(msg);
    const found = kept?.blocks === msg.content.length ? kept.images : imagesOf(msg);
    for (const image of found) images.push(image);
  }
  return images;
}

function imagesOf(msg: Msg): readonly DataBlock[] {
  const images: DataBlock[] = [];
  for (const block of msg.content) {
    if (isImage(block)) images.push(block);
    else for (const inner of innerOf(block)) if (isImage(inner)) images.push(inner);
  }
  known.set(msg, { blocks: msg.content.length, images });
  return images;
}

/** Replacements, each with the images that stayed in it. */
const replaced = new WeakMap<ContentBlock, { key: string; block: ContentBlock }>();

/** The messages with these images replaced by words; what has none of them stays the same object. */
export function withoutImages(messages: readonly Msg[], dropped: ReadonlySet<DataBlock>, pathOf: PathOf): Msg[] {
  return messages.map((msg) => {
    const content = msg.content.map((block) => withoutThose(block, dropped, pathOf));
    return content.every((block, index) => block === msg.content[index]) ? msg : { ...msg, content };
  });
}

function withoutThose(block: ContentBlock, dropped: ReadonlySet<DataBlock>, pathOf: PathOf): ContentBlock {
  const key = [block, ...innerOf(block)]
    .flatMap((one, index) => (isImage(one) && dropped.has(one) ? [`${index}:${pathOf(one) ?? ''}`] : []))
    .join();
  if (key === '') return block;
  const kept = replaced.get(block);
  if (kept?.key === key) return kept.block;
  const replace = (inner: Inner): Inner => (isImage(inner) && dropped.has(inner) ? inWords(inner, pathOf) : inner);
  const made = ((): ContentBlock => {
    if (block.type === 'data') return replace(block);
    if (block.type === 'tool_result') return { ...block, output: block.output.map(replace) };
    return block.type === 'hint' && typeof block.hint !== 'string'
      ? { ...block, hint: block.hint.map(replace) }
      : block;
  })();
  replaced.set(block, { key, block: made });
  return made;
}

function inWords(image: DataBlock, pathOf: PathOf): TextBlock {
  const { id, created_at, finished_at, name } = image;
  const path = pathOf(image);
  const kept = path === null ? '' : ` It was put aside as ${path}.`;
  const text = reminder(`An image${name === null ? '' : ` (${plainName(name)})`} was left out to save room.${kept}`);
  return { type: 'text', id, text, created_at, finished_at };
}
