import type { DataBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import { MAX_OFFLOAD_BYTES, OffloadRefused, type OffloadStore } from './offload-store.js';
import { offloadData } from './offloaded-data.js';

/** Files of one compression that are put aside by themselves; of more only a mention is kept. */
const MAX_FILES = 50;

/**
 * Puts messages aside as JSON lines, one message each; files stand in them as a path. Rejects as the store does. Messages that are larger
 * than a part of their own are left out of it, the oldest first.
 */
export async function offloadMessages(
  store: OffloadStore,
  name: string,
  messages: readonly Msg[],
): Promise<{ path: string; count: number }> {
  const paths = new Map<DataBlock, string | null>();
  for (const file of filesIn(messages).slice(-MAX_FILES)) paths.set(file, await pathOf(store, file));
  const lines = messages.map((msg) =>
    JSON.stringify(msg, (_key, value: unknown) => (isFile(value) ? withPath(value, paths.get(value) ?? null) : value)),
  );
  let left = MAX_OFFLOAD_BYTES;
  const first = lines.findLastIndex((line) => (left -= Buffer.byteLength(line) + 1) < 0) + 1;
  const content = lines
    .slice(first)
    .map((line) => `${line}\n`)
    .join('');
  const { path } = await store.put({ kind: 'context', name, media_type: 'application/jsonl', content });
  const files = [...paths.values()].filter((known) => known !== null);
  return { path, count: files.length + 1 };
}

async function pathOf(store: OffloadStore, file: DataBlock): Promise<string | null> {
  try {
    return await offloadData(store, file);
  } catch (error) {
    if (error instanceof OffloadRefused) return null;
    throw error;
  }
}

function filesIn(messages: readonly Msg[]): DataBlock[] {
  return messages
    .flatMap(({ content }) =>
      content.flatMap((block) => {
        if (block.type === 'tool_result') return block.output;
        return block.type === 'hint' && typeof block.hint !== 'string' ? block.hint : [block];
      }),
    )
    .filter(isFile);
}

function isFile(value: unknown): value is DataBlock {
  if (typeof value !== 'object' || value === null || !('type' in value) || value.type !== 'data') return false;
  const source: unknown = 'source' in value ? value.source : null;
  return typeof source === 'object' && source !== null && 'type' in source && source.type === 'base64';
}

const withPath = ({ type, id, name, source }: DataBlock, path: string | null) => ({
  type,
  id,
  name,
  source: { type: 'offloaded', path, media_type: source.media_type },
});
