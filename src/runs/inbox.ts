import type { HintBlock } from '../core/messages/block.js';

/** Something the model is to be told when the session next works. As a signal its payload is a `HintBlock`. */
export interface NewHint {
  /** A UUID. */
  readonly id: string;
  readonly hint: HintBlock['hint'];
  readonly source: string | null;
}

/** `full`: as many wait as a session holds. */
export type Delivered = 'delivered' | 'full' | 'gone';
