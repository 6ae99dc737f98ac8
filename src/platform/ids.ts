import { randomFillSync } from 'node:crypto';
import { v7, validate } from 'uuid';

/** A new UUIDv7 for a row: made in the process, ordered by time, also within one millisecond. */
export const newId = (): string => v7();

/** Whether a text has the shape of a UUID (any version), so that it may be compared with an id column. */
export const isUuid = (text: string): boolean => validate(text);

const RANDOM = 16;
const pool = Buffer.alloc(RANDOM * 512);
let used = pool.length;

/** A new UUIDv7 for an event or block: its randomness comes from a pool, since one draw from the system costs more than a delta does. */
export function newEventId(): string {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += RANDOM;
  return v7({ random: pool.subarray(used - RANDOM, used) });
}
