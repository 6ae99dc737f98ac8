import type { Principal } from '../auth/principal.js';
import { toRecordView } from './session-views.js';
import type { SessionStore, StatefulRecord } from './session.store.js';

/** The session went while it was being read: what has been sent is not all of it. */
class ExportBroken extends Error {
  override readonly name = 'ExportBroken';
}

export interface SessionExport {
  readonly session_id: string;
  readonly lines: AsyncIterable<string>;
}

/**
 * A session as lines of JSON: its record, its messages oldest first, and their number, by which a reader knows that it has them all. Messages
 * behind the record's `last_seq` are left out. Reads on only when it is asked to, a stretch of the transcript at a time.
 */
export async function* exportLines(
  store: SessionStore,
  principal: Principal,
  record: StatefulRecord,
): AsyncGenerator<string, void, void> {
  yield line({ type: 'session', ...toRecordView(record), as_of_seq: record.last_seq });
  let messages = 0;
  for (let next: number | null = 0; next !== null;) {
    const stretch = await store.stretch(principal, record.id, next, record.last_seq);
    if (stretch === null) throw new ExportBroken(`session ${record.id} was deleted`);
    for (const message of stretch.messages) yield line({ type: 'message', message });
    messages += stretch.messages.length;
    next = stretch.next;
  }
  yield line({ type: 'end', messages });
}

const line = (value: object): string => `${JSON.stringify(value)}\n`;
