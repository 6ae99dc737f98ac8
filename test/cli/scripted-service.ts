import { once } from 'node:events';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { AgentEvent } from '../../src/core/events/agent-event.js';

type Said = Record<string, unknown>;

/** What the service does when something is posted to /chat; gives the id of the run. */
export type OnChat = (input: Said, service: ScriptedService) => string;

/** As much of the service as the terminal client sees, with every event in the hands of a test. */
export class ScriptedService {
  /** The query and the `Last-Event-ID` of each stream that was opened. */
  readonly streams: { query: string; last: string | undefined }[] = [];
  readonly inputs: Said[] = [];
  private readonly events: AgentEvent[] = [];
  private follower: ServerResponse | undefined;

  private constructor(
    private readonly server: Server,
    private readonly onChat: OnChat,
  ) {}

  static async start(onChat: OnChat): Promise<ScriptedService> {
    const server = createServer();
    const service = new ScriptedService(server, onChat);
    server.on('request', (request: IncomingMessage, response: ServerResponse) => {
      service.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  emit(...events: AgentEvent[]): void {
    for (const event of events) {
      const seq = this.events.push(event);
      this.follower?.write(frame(seq, event));
    }
  }

  /** Cuts the open stream off; what is emitted meanwhile waits for the next one. */
  cut(): void {
    this.follower?.destroy();
    this.follower = undefined;
  }

  async stop(): Promise<void> {
    this.server.close();
    this.server.closeAllConnections();
    await once(this.server, 'close');
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { pathname, search } = new URL(request.url ?? '/', this.url);
    const json = (body: unknown) => response.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    if (pathname.endsWith('/stream')) return this.follow(request, response, search);
    if (pathname.startsWith('/sessions/')) return void json({ session: { id: 's', agent_id: 'a' } });
    if (pathname !== '/chat') return void response.writeHead(404).end();
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(chunk as Buffer);
    const { input } = JSON.parse(Buffer.concat(chunks).toString()) as { input: Said };
    this.inputs.push(input);
    json({ status: 'started', session_id: 's', run_id: this.onChat(input, this) });
  }

  private follow(request: IncomingMessage, response: ServerResponse, query: string): void {
    const last = request.headers['last-event-id'] as string | undefined;
    this.streams.push({ query, last });
    const after = query === '?after=latest' ? this.events.length : Number(last ?? 0);
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    response.write(': hello\n\n');
    this.events.slice(after).forEach((event, index) => response.write(frame(after + index + 1, event)));
    this.follower = response;
  }
}

function frame(seq: number, event: AgentEvent): string {
  return `id: ${seq}\ndata: ${JSON.stringify(event)}\n\n`;
}
