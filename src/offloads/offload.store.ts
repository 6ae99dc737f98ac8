import type { Principal } from '../auth/principal.js';
import type { OffloadPiece } from '../core/context/offload-store.js';

export interface OffloadRecord {
  readonly path: string;
  readonly media_type: string;
  readonly content: Buffer;
}

/** `full`: the session has no room for it. `missing`: the caller has no such session. */
export type PutOutcome = 'stored' | 'full' | 'missing';

/** What sessions put aside, in the database. It goes with its session. */
export abstract class OffloadRecordStore {
  /** Replaces what is at the path. All of a session together never has more than `quota` bytes. */
  abstract put(principal: Principal, sessionId: string, record: OffloadRecord, quota: number): Promise<PutOutcome>;
  /** Whether there is something at the path. */
  abstract has(principal: Principal, sessionId: string, path: string): Promise<boolean>;
  /** Of a text, characters from `offset` on; null when nothing is there. */
  abstract read(
    principal: Principal,
    sessionId: string,
    path: string,
    offset: number,
    limit: number,
  ): Promise<OffloadPiece | null>;
}
