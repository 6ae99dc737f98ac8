import type { Msg } from '../core/messages/message.js';
import type { ToolCallBlock } from '../core/messages/block.js';

/** The service refused a request; the message is what it said. */
export class ApiError extends Error {
  override readonly name = 'ApiError';
  constructor(
    readonly status: number,
    readonly code: string | undefined,
    message: string,
  ) {
    super(message);
  }
}

/** Nothing answers where the service should be. */
export class UnreachableError extends Error {
  override readonly name = 'UnreachableError';
}

export interface Accepted {
  readonly session_id: string;
  readonly run_id: string;
}

export interface ConfirmResult {
  readonly confirmed: boolean;
  readonly tool_call: ToolCallBlock;
}

interface AgentRow {
  readonly id: string;
  readonly data: { readonly name: string };
}
interface CredentialRow {
  readonly id: string;
  readonly data: { readonly type: string };
}
interface SessionRow {
  readonly session: { readonly id: string; readonly agent_id: string };
}

/** The requests the terminal client makes, as one user of one service. */
export class Api {
  private readonly base: string;

  constructor(
    url: string,
    private readonly user: string,
  ) {
    this.base = url.replace(/\/+$/, '');
  }

  agents(): AsyncGenerator<AgentRow> {
    return this.list<'agents', AgentRow>('/agent', 'agents');
  }

  credentials(): AsyncGenerator<CredentialRow> {
    return this.list<'credentials', CredentialRow>('/credential', 'credentials');
  }

  async createDemoCredential(): Promise<string> {
    const body = { data: { type: 'demo_credential' } };
    return (await this.json<{ credential_id: string }>('POST', '/credential', body)).credential_id;
  }

  async createAgent(name: string, credential_id: string): Promise<string> {
    const chat_model_config = { type: 'demo_credential', credential_id, model: 'demo-1' };
    return (await this.json<{ agent_id: string }>('POST', '/agent', { name, chat_model_config })).agent_id;
  }

  /** The session of this name or id, if there is one. */
  async session(name: string): Promise<SessionRow['session'] | undefined> {
    try {
      return (await this.json<SessionRow>('GET', sessionPath(name))).session;
    } catch (error) {
      if (error instanceof ApiError && error.status === 404) return undefined;
      throw error;
    }
  }

  async createSession(agent_id: string, name?: string): Promise<string> {
    const body = { agent_id, session_id: name };
    return (await this.json<{ session_id: string }>('POST', '/sessions', body)).session_id;
  }

  say(session_id: string, text: string): Promise<Accepted> {
    return this.json('POST', '/chat', { session_id, input: { content: text } });
  }

  confirm(session_id: string, reply_id: string, results: readonly ConfirmResult[]): Promise<Accepted> {
    const confirm_results = results.map((result) => ({ ...result, rules: null }));
    return this.json('POST', '/chat', {
      session_id,
      input: { type: 'USER_CONFIRM_RESULT', reply_id, confirm_results },
    });
  }

  async interrupt(session_id: string): Promise<void> {
    await this.json('POST', `${sessionPath(session_id)}/interrupt`);
  }

  /** The newest message of a session, and whether anything is still at work in it. */
  async newest(session_id: string): Promise<{ message: Msg | undefined; is_running: boolean }> {
    const page = await this.json<{ messages: Msg[]; is_running: boolean }>(
      'GET',
      `${sessionPath(session_id)}/messages?limit=1`,
    );
    return { message: page.messages.at(-1), is_running: page.is_running };
  }

  /** Opens the event stream of a session, after `cursor` or for what comes from now on. */
  async stream(
    session_id: string,
    query: string,
    cursor: string | undefined,
    signal: AbortSignal,
  ): Promise<ReadableStream<Uint8Array>> {
    const headers: Record<string, string> = { accept: 'text/event-stream' };
    if (cursor !== undefined) headers['last-event-id'] = cursor;
    const response = await this.send('GET', `${sessionPath(session_id)}/stream${query}`, { headers, signal });
    if (!response.body) throw new ApiError(response.status, undefined, 'The service sent no stream.');
    return response.body;
  }

  private async *list<K extends string, T>(path: string, plural: K): AsyncGenerator<T> {
    type Page = Record<K, T[]> & { next_cursor: string | null };
    for (let cursor: string | null = ''; cursor !== null;) {
      const page: Page = await this.json<Page>('GET', `${path}?limit=200${cursor && `&cursor=${cursor}`}`);
      yield* page[plural];
      cursor = page.next_cursor;
    }
  }

  private async json<T>(method: string, path: string, body?: unknown): Promise<T> {
    const init =
      body === undefined ? {} : { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
    return (await (await this.send(method, path, init)).json()) as T;
  }

  private async send(
    method: string,
    path: string,
    init: RequestInit & { headers?: Record<string, string> },
  ): Promise<Response> {
    const headers = { 'x-user-id': this.user, ...init.headers };
    const response = await fetch(this.base + path, { ...init, method, headers }).catch((error: unknown) => {
      if (error instanceof TypeError) throw new UnreachableError(`Nothing answers at ${this.base}.`, { cause: error });
      throw error;
    });
    if (!response.ok) throw await refusal(response);
    return response;
  }
}

const sessionPath = (session: string): string => `/sessions/${encodeURIComponent(session)}`;

async function refusal(response: Response): Promise<ApiError> {
  const text = await response.text();
  const isJson = response.headers.get('content-type')?.includes('json');
  const { error } = (isJson ? JSON.parse(text) : {}) as { error?: { code?: string; message?: string } };
  return new ApiError(
    response.status,
    error?.code,
    error?.message ?? `The service answered with status ${response.status}.`,
  );
}
