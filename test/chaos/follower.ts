import { createParser } from 'eventsource-parser';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentEvent, EventOf } from '../../src/core/events/agent-event.js';
import { expand } from '../../src/core/events/expand.js';
import { GrammarChecker } from '../../src/core/events/grammar.js';
import { TranscriptReducer } from '../../src/core/events/reducer.js';
import type { Msg } from '../../src/core/messages/message.js';
import type { ApiClient, MessagesBody } from '../support/client.js';

/** Between two attempts to connect, as a browser would wait. */
const RETRY_MS = 100;

export interface Followed {
  readonly seq: number;
  readonly event: AgentEvent;
}

/**
 * A client as it should be: follows a session over broken connections by Last-Event-ID, folds what it sees, re-reads the transcript on a
 * gap, and takes exception to numbers that come twice or go back and to events out of order.
 */
export class Follower {
  /** Everything that came over the wire, gaps included. */
  readonly seen: Followed[] = [];
  /** What should not have come. */
  readonly faults: string[] = [];
  gaps = 0;
  rewinds = 0;
  connections = 0;
  /** The number it stands at. */
  cursor: number;
  private fold = new TranscriptReducer();
  private grammar = new GrammarChecker();
  private readonly inbox: Followed[] = [];
  private readonly closing = new AbortController();
  private connection = new AbortController();
  private paused = false;
  private stopsAt: ((event: AgentEvent) => boolean) | null = null;
  private waiters: (() => void)[] = [];
  private readonly done: Promise<unknown>;

  constructor(
    private readonly client: Pick<ApiClient, 'url' | 'user' | 'messages'>,
    readonly session_id: string,
    options: { after?: number; messages?: Msg[] } = {},
  ) {
    this.cursor = options.after ?? 0;
    this.restart(options.messages ?? []);
    this.done = Promise.all([this.connect(), this.digest()]).catch((error: unknown) => {
      if (!this.closed) this.faults.push(`the follower broke: ${String(error)}`);
      this.wake();
    });
  }

  get closed(): boolean {
    return this.closing.signal.aborted;
  }

  /** The transcript as the events have made it. */
  get messages(): Msg[] {
    return this.fold.messages;
  }

  /** How often the end of a reply came over the wire. */
  ends(reply_id?: string): EventOf<'REPLY_END'>[] {
    return this.seen.flatMap(({ event }) =>
      event.type === 'REPLY_END' && (reply_id === undefined || event.reply_id === reply_id) ? [event] : [],
    );
  }

  /** Resolves with the first event (seen already or to come) that fits. */
  async until(fits: (event: AgentEvent) => boolean, within_ms = 30_000): Promise<Followed> {
    const deadline = delay(within_ms, 'late' as const, { ref: false });
    for (let from = 0; ;) {
      for (; from < this.seen.length; from += 1) {
        const found = this.seen[from];
        if (found && fits(found.event)) return found;
      }
      const next = new Promise<void>((resolve) => this.waiters.push(resolve));
      if ((await Promise.race([next, deadline])) === 'late') {
        const last = this.seen.slice(-8).map(({ seq, event }) => `${seq} ${event.type}`);
        throw new Error(`not within ${within_ms} ms: ${fits.toString()}; the last events: ${last.join(', ')}`);
      }
    }
  }

  /** Breaks the connection off; the next one goes on at the cursor. */
  cut(): void {
    this.connection.abort();
  }

  /** Stays away until `resume` from the first event on that fits and is still to come: what came with it is not heard. */
  async pauseAt(fits: (event: AgentEvent) => boolean): Promise<void> {
    this.stopsAt = fits;
    await this.until(fits);
  }

  /** Stays away until `resume`. */
  pause(): void {
    this.paused = true;
    this.cut();
  }

  resume(): void {
    this.paused = false;
  }

  async close(): Promise<void> {
    this.closing.abort();
    this.connection.abort();
    this.wake();
    await this.done;
  }

  private async connect(): Promise<void> {
    while (!this.closed) {
      this.connection = new AbortController();
      if (!this.paused) await this.read().catch(() => undefined);
      if (!this.closed) await delay(RETRY_MS);
    }
  }

  private async read(): Promise<void> {
    const { url, user } = this.client;
    const response = await fetch(`${url}/sessions/${this.session_id}/stream?after=0`, {
      headers: { accept: 'text/event-stream', 'x-user-id': user, 'last-event-id': String(this.cursor) },
      signal: this.connection.signal,
    });
    if (response.status !== 200 || !response.body) {
      await response.body?.cancel();
      return;
    }
    this.connections += 1;
    const parser = createParser({
      onEvent: ({ id, data }) => this.take({ seq: Number(id), event: JSON.parse(data) as AgentEvent }),
    });
    const decoder = new TextDecoder();
    for await (const chunk of response.body) parser.feed(decoder.decode(chunk, { stream: true }));
  }

  private take(followed: Followed): void {
    if (this.paused) return;
    if (followed.seq <= this.cursor)
      this.faults.push(`${followed.event.type} has number ${followed.seq} after ${this.cursor}`);
    this.cursor = Math.max(this.cursor, followed.seq);
    this.seen.push(followed);
    this.inbox.push(followed);
    if (this.stopsAt?.(followed.event) === true) {
      this.stopsAt = null;
      this.pause();
    }
    this.wake();
  }

  /** Folds in the order in which things came, also while a transcript is being read. */
  private async digest(): Promise<void> {
    let above = 0;
    while (!this.closed) {
      const next = this.inbox.shift();
      if (next === undefined) {
        await new Promise<void>((resolve) => this.waiters.push(resolve));
        continue;
      }
      const { seq, event } = next;
      if (event.type === 'CUSTOM' && event.name === 'gap') {
        this.gaps += 1;
        const { messages, as_of_seq } = await this.transcript();
        above = as_of_seq;
        this.restart(messages);
        this.wake();
      } else if (seq > above) {
        this.apply(event);
      }
    }
  }

  private apply(event: AgentEvent): void {
    if (event.type === 'CUSTOM' && event.name === 'reply_rewound') {
      this.rewinds += 1;
      // The attempt that is withdrawn may have died before any of it was seen: then there is nothing to take back.
      if (!this.messages.some((message) => message.id === event.value['reply_id'])) return;
    }
    try {
      this.grammar.accept(event);
    } catch (error) {
      this.faults.push(String(error));
      // Its state is undefined after a fault: the first one is what counts.
      this.grammar = new GrammarChecker();
      for (const known of expand(this.fold.messages, this)) this.grammar.accept(known);
    }
    const before = this.fold.ignored;
    this.fold.apply(event);
    if (this.fold.ignored > before) this.faults.push(`${event.type} does not apply to what was followed so far`);
    this.wake();
  }

  private restart(messages: Msg[]): void {
    this.grammar = new GrammarChecker();
    for (const event of expand(messages, this)) this.grammar.accept(event);
    this.fold = new TranscriptReducer(structuredClone(messages));
  }

  private async transcript(): Promise<MessagesBody> {
    for (;;) {
      try {
        return await this.client.messages(this.session_id);
      } catch (error) {
        if (this.closed) throw error;
        await delay(RETRY_MS);
      }
    }
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}
