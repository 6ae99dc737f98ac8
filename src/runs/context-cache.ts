import type { Msg } from '../core/messages/message.js';
import { type Cut, startIn } from '../core/context/window-view.js';
import type { Lease } from './run.store.js';

interface Entry {
  readonly token: number;
  readonly last_seq: number;
  readonly messages: Msg[];
}

const MAX_SESSIONS = 2000;
const KEPT = 0.75;

/**
 * The conversations this node worked on last. An entry holds only while nobody else has held the session since: the next token must be
 * the one after ours, and the numbers must continue where we ended.
 */
export class ContextCache {
  private readonly entries = new Map<string, Entry>();

  constructor(private readonly maxMessages: number) {}

  /** The conversation before numbers above `lastSeq` were given, if this node knows it. */
  take(lease: Lease, lastSeq: number): Msg[] | undefined {
    const known = this.knows(lease, lastSeq) ? this.entries.get(key(lease))?.messages : undefined;
    this.entries.delete(key(lease));
    return known;
  }

  /** Whether this node held the session last. */
  knows(lease: Lease, lastSeq: number): boolean {
    const entry = this.entries.get(key(lease));
    return entry !== undefined && entry.token === lease.token - 1 && entry.last_seq === lastSeq;
  }

  put(lease: Lease, lastSeq: number, messages: Msg[]): void {
    this.entries.set(key(lease), { token: lease.token, last_seq: lastSeq, messages });
    if (this.entries.size <= MAX_SESSIONS) return;
    const [oldest] = this.entries.keys();
    if (oldest !== undefined) this.entries.delete(oldest);
  }

  /**
   * What later replies may be shown of a conversation: the messages from `from` on. Of more than the bound a quarter goes at once, so that what
   * models are shown does not begin anew with every reply; it begins with a user's message.
   */
  window(messages: readonly Msg[], from: Cut | null): Msg[] {
    const seen = from === null ? [...messages] : messages.slice(startIn(messages, from, ''));
    if (seen.length <= this.maxMessages) return seen;
    const newest = seen.slice(-Math.ceil(this.maxMessages * KEPT));
    const start = newest.findIndex((message) => message.role === 'user');
    return start > 0 ? newest.slice(start) : newest;
  }
}

const key = (lease: Lease): string => `${lease.tenant_id}:${lease.session_id}`;
