import { createParser } from 'eventsource-parser';
import { setTimeout as delay } from 'node:timers/promises';
import type { AgentEvent } from '../core/events/agent-event.js';
import { type Api, ApiError, UnreachableError } from './api.js';

const RETRY_MS = { first: 200, max: 3000 };
const MAX_RETRIES = 12;

/** The events of a session from the moment of `open`, over broken connections. */
export class EventFeed {
  private readonly controller = new AbortController();
  private cursor: string | undefined;
  private body: ReadableStream<Uint8Array> | undefined;

  private constructor(
    private readonly api: Api,
    private readonly session: string,
  ) {}

  /** Resolves when nothing that happens from now on is missed. */
  static async open(api: Api, session: string): Promise<EventFeed> {
    const feed = new EventFeed(api, session);
    feed.body = await api.stream(session, '?after=latest', undefined, feed.controller.signal);
    return feed;
  }

  close(): void {
    this.controller.abort();
  }

  async *events(): AsyncGenerator<AgentEvent, void, void> {
    for (;;) {
      try {
        if (this.body) yield* this.read(this.body);
      } catch (error) {
        if (this.controller.signal.aborted) return;
        // A connection that broke is opened anew below.
        if (!(error instanceof TypeError)) throw error;
      }
      if (this.controller.signal.aborted) return;
      this.body = await this.reopen();
    }
  }

  private async *read(body: ReadableStream<Uint8Array>): AsyncGenerator<AgentEvent, void, void> {
    const arrived: AgentEvent[] = [];
    const parser = createParser({
      onEvent: ({ id, data }) => {
        this.cursor = id ?? this.cursor;
        arrived.push(JSON.parse(data) as AgentEvent);
      },
    });
    const decoder = new TextDecoder();
    for await (const chunk of body) {
      parser.feed(decoder.decode(chunk, { stream: true }));
      yield* arrived.splice(0);
    }
  }

  /** Without a cursor the stream begins with the current reply: nothing was seen yet, so nothing comes twice. */
  private async reopen(): Promise<ReadableStream<Uint8Array>> {
    const { signal } = this.controller;
    for (let attempt = 1, wait = RETRY_MS.first; ; attempt++, wait = Math.min(wait * 2, RETRY_MS.max)) {
      await delay(wait, undefined, { signal });
      try {
        return await this.api.stream(this.session, '', this.cursor, signal);
      } catch (error) {
        if (!isPassing(error) || attempt === MAX_RETRIES) throw error;
      }
    }
  }
}

/** A service that restarts is away for a moment, or answers that it is not ready yet. */
function isPassing(error: unknown): boolean {
  return error instanceof UnreachableError || (error instanceof ApiError && error.status === 503);
}
