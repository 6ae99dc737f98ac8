import type { DataBlock } from '../messages/block.js';
import type { OffloadStore } from './offload-store.js';

/** Where blocks were put, as long as this process knows them; putting one again changes nothing, for data are named by their content. */
const paths = new WeakMap<DataBlock, string>();

export const offloadedPath = (block: DataBlock): string | null => paths.get(block) ?? null;

/** Puts the bytes of a block aside; null when it has none. Rejects as the store does. */
export async function offloadData(store: OffloadStore, block: DataBlock): Promise<string | null> {
  const known = paths.get(block);
  const { source, name } = block;
  if (known !== undefined || source.type !== 'base64') return known ?? null;
  const content = Buffer.from(source.data, 'base64');
  const { path } = await store.put({ kind: 'data', name: name ?? '', media_type: source.media_type, content });
  paths.set(block, path);
  return path;
}
