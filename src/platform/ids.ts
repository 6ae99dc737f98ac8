import { randomFillSync } from 'node:crypto';
import { v5, v7, validate, version } from 'uuid';

/** Whether a text has the shape of a UUID (any version), so that it may be compared with an id column. */
export const isUuid = (text: string): boolean => validate(text);

/** The space of ids that follow from a name. */
const NAMES = '5c9a6f0e-3d0b-4f6a-9d35-0a1b5e1c7e42';

/** The UUIDv5 of something that is known by its name and has no row. */
export const idOfName = (name: string): string => v5(name, NAMES);

export const isIdOfName = (id: string): boolean => validate(id) && version(id) === 5;

const RANDOM = 16;
const pool = Buffer.alloc(RANDOM * 512);
let used = pool.length;

/** Randomness from a pool: one draw from the system costs more than a whole delta does. */
function randomness(): Uint8Array {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += RANDOM;
  return pool.subarray(used - RANDOM, used);
}

let msecs = 0;
let seq = 0;

/** A new UUIDv7 for a row: made in the process, ordered by time, also within one millisecond. */
export function newId(): string {
  const random = randomness();
  const now = Date.now();
  if (now > msecs) {
    msecs = now;
    // Half the range is left to count in.
    seq = Buffer.from(random.buffer, random.byteOffset, RANDOM).readUInt32BE(6) >>> 1;
  } else {
    seq += 1;
  }
  return v7({ random, msecs, seq });
}

/** A new UUIDv7 for an event or block: ordered by time. */
export const newEventId = (): string => v7({ random: randomness() });
