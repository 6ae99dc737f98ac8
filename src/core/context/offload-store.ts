import type { AgentState } from '../state/session-state.js';

export interface OffloadItem {
  readonly kind: 'tool_result' | 'context' | 'data';
  /** Of a result or a part of the context: unique in the session; the same name again replaces what was there. Data are named by their content. */
  readonly name: string;
  readonly media_type: string;
  readonly content: string | Uint8Array;
}

/** A piece of a text; `offset`, `limit` and `total` count characters (code points). `text` is null for what is no text; `total` then counts bytes. */
export interface OffloadPiece {
  readonly media_type: string;
  readonly text: string | null;
  readonly total: number;
}

/** Where one session puts aside what the window of its model has no room for. */
export interface OffloadStore {
  /** Rejects with `OffloadRefused` when there is no room for it. */
  put(item: OffloadItem): Promise<{ path: string }>;
  /** Null when there is nothing at this path. */
  read(path: string, offset: number, limit: number): Promise<OffloadPiece | null>;
}

/** The store has no room for an item; the message says why and may be shown. */
export class OffloadRefused extends Error {
  override readonly name = 'OffloadRefused';
}

/** Bound on one item, in bytes. */
export const MAX_OFFLOAD_BYTES = 10_485_760;

/** Puts on record that there is more to read. */
export function countOffloads(state: AgentState, more: number): void {
  if (more === 0) return;
  const { window_context } = state.value;
  state.update('window_context', { ...window_context, offloads: window_context.offloads + more });
}
