import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface RecordedRequest {
  readonly method: string;
  /** With the query. */
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  /** The body as JSON; undefined when there was none. */
  readonly body: Record<string, unknown> | undefined;
}

export type Answer = (response: ServerResponse, request: RecordedRequest) => void;

/** An HTTP server that remembers what it was asked and answers as it is told. */
export class RecordingServer {
  static async start(answer: Answer): Promise<RecordingServer> {
    const it = new RecordingServer(answer);
    it.server.listen(0, '127.0.0.1');
    await once(it.server, 'listening');
    return it;
  }

  readonly requests: RecordedRequest[] = [];
  private readonly server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const body = text === '' ? undefined : (JSON.parse(text) as Record<string, unknown>);
      const recorded = { method: request.method ?? '', path: request.url ?? '', headers: request.headers, body };
      this.requests.push(recorded);
      this.answer(response, recorded);
    });
  });

  private constructor(public answer: Answer) {}

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  get last(): RecordedRequest {
    const last = this.requests.at(-1);
    if (last === undefined) throw new Error('There was no request.');
    return last;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}

export function json(status: number, body: unknown, headers: Record<string, string> = {}): Answer {
  return (response) => {
    response.writeHead(status, { 'content-type': 'application/json', ...headers });
    response.end(JSON.stringify(body));
  };
}
