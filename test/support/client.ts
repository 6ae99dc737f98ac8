import { createParser } from 'eventsource-parser';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import type { Msg } from '../../src/core/messages/message.js';

export interface Answer<T = unknown> {
  readonly status: number;
  readonly headers: Headers;
  readonly body: T;
  readonly text: string;
}

export interface SeenEvent {
  readonly seq: number;
  readonly event: AgentEvent;
}

export interface MessagesBody {
  messages: Msg[];
  as_of_seq: number;
  has_more: boolean;
  is_running: boolean;
}

/** For sessions whose agent may call every tool unasked. */
export const UNASKED = { permission_mode: 'bypass' };

/** One caller of one service. */
export class ApiClient {
  constructor(
    readonly url: string,
    readonly user = 'alice',
    private readonly extra: Record<string, string> = {},
  ) {}

  async request<T = Record<string, unknown>>(
    method: string,
    path: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ): Promise<Answer<T>> {
    const response = await fetch(this.url + path, {
      method,
      headers: { ...this.identity, ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      body: body === undefined ? undefined : typeof body === 'string' ? body : JSON.stringify(body),
    });
    const text = await response.text();
    const isJson = /[/+]json\b/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, headers: response.headers, text, body: (isJson ? JSON.parse(text) : text) as T };
  }

  /** A request that must succeed; throws with the answer otherwise. */
  async ok<T = Record<string, unknown>>(method: string, path: string, body?: unknown): Promise<T> {
    const answer = await this.request<T>(method, path, body);
    if (answer.status >= 400) throw new Error(`${method} ${path} -> ${answer.status} ${answer.text}`);
    return answer.body;
  }

  /** A demo credential, an agent that uses it, and a session (`session`: further fields of it); gives their ids. */
  async demoSession(
    name?: string,
    session: Record<string, unknown> = {},
  ): Promise<{ credential_id: string; agent_id: string; session_id: string }> {
    const { credential_id } = await this.ok<{ credential_id: string }>('POST', '/credential', {
      data: { type: 'demo_credential' },
    });
    const { agent_id } = await this.ok<{ agent_id: string }>('POST', '/agent', {
      name: 'helper',
      chat_model_config: { type: 'demo_credential', credential_id, model: 'demo-1' },
    });
    const { session_id } = await this.ok<{ session_id: string }>('POST', '/sessions', {
      agent_id,
      session_id: name,
      ...session,
    });
    return { credential_id, agent_id, session_id };
  }

  /** Something that is asked, in a session of its own with a demo agent; gives its id. */
  async approval(agent_id: string): Promise<string> {
    const ask = { tool_name: 'calculator', rule_content: null, behavior: 'ask', source: 'user' };
    const { session_id } = await this.ok<{ session_id: string }>('POST', '/sessions', {
      agent_id,
      permission_rules: [ask],
    });
    const input = { content: '/tool calculator {"expression":"1+1"}' };
    await this.ok('POST', '/chat?wait=true', { session_id, input });
    const { approvals } = await this.ok<{ approvals: { id: string }[] }>('GET', `/approvals?session_id=${session_id}`);
    if (approvals[0] === undefined) throw new Error('nothing was asked');
    return approvals[0].id;
  }

  say(session_id: string, text: string, id?: string) {
    return this.ok<{ status: string; run_id: string; session_id: string }>('POST', '/chat', {
      session_id,
      input: { id, content: text },
    });
  }

  messages(session_id: string): Promise<MessagesBody> {
    return this.ok<MessagesBody>('GET', `/sessions/${session_id}/messages?limit=200`);
  }

  stream(session_id: string, query = '', headers: Record<string, string> = {}): Promise<EventStream> {
    return EventStream.open(`${this.url}/sessions/${session_id}/stream${query}`, { ...this.identity, ...headers });
  }

  private get identity(): Record<string, string> {
    return { 'x-user-id': this.user, ...this.extra };
  }
}

/** An open event stream whose events can be awaited. */
export class EventStream {
  readonly seen: SeenEvent[] = [];
  /** The raw text as it came. */
  raw = '';
  ended = false;
  /** Why it broke off, if it did not end by itself. */
  failure: unknown;
  private readonly controller = new AbortController();
  private waiters: (() => void)[] = [];

  static async open(url: string, headers: Record<string, string>): Promise<EventStream> {
    const stream = new EventStream();
    const response = await fetch(url, {
      headers: { accept: 'text/event-stream', ...headers },
      signal: stream.controller.signal,
    });
    if (response.status !== 200 || !response.body)
      throw new Error(`stream -> ${response.status} ${await response.text()}`);
    void stream.read(response.body);
    return stream;
  }

  /** Resolves with the first event (seen already or to come) that fits; rejects when the stream ends before. */
  async until(fits: (seen: SeenEvent) => boolean): Promise<SeenEvent> {
    for (let from = 0; ;) {
      for (; from < this.seen.length; from++) {
        const seen = this.seen[from];
        if (seen && fits(seen)) return seen;
      }
      if (this.ended) throw new Error(`the stream ended after ${this.seen.map((it) => it.event.type).join(' ')}`);
      await new Promise<void>((resolve) => this.waiters.push(resolve));
    }
  }

  /** Resolves at the `count`-th REPLY_END of this stream. */
  async replies(count = 1): Promise<SeenEvent> {
    return this.until(
      ({ seq }) => this.seen.filter((it) => it.event.type === 'REPLY_END' && it.seq <= seq).length >= count,
    );
  }

  /** Resolves when the server has closed the stream. */
  async end(): Promise<void> {
    while (!this.ended) await new Promise<void>((resolve) => this.waiters.push(resolve));
  }

  close(): void {
    this.controller.abort();
  }

  private async read(body: ReadableStream<Uint8Array>): Promise<void> {
    const parser = createParser({
      onEvent: ({ id, data }) => this.seen.push({ seq: Number(id), event: JSON.parse(data) as AgentEvent }),
    });
    const decoder = new TextDecoder();
    try {
      for await (const chunk of body) {
        const text = decoder.decode(chunk, { stream: true });
        this.raw += text;
        parser.feed(text);
        this.wake();
      }
    } catch (error) {
      // A stream that is cut off ends like one that is closed: what was seen is what counts.
      this.failure = error;
    } finally {
      this.ended = true;
      this.wake();
    }
  }

  private wake(): void {
    for (const waiter of this.waiters.splice(0)) waiter();
  }
}
