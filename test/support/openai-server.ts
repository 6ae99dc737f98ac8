import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface OpenAiServer {
  /** As `base_url` of a credential. */
  readonly url: string;
  /** Headers of the calls, in order. */
  readonly calls: IncomingHttpHeaders[];
  /** The next calls are refused as an unknown key is, with the masked key in the answer. */
  refusing: boolean;
  stop(): Promise<void>;
}

const chunk = (delta: object, finish_reason: string | null) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;

/** Speaks just enough of Chat Completions to answer "pong", and remembers who called. */
export async function startOpenAiServer(): Promise<OpenAiServer> {
  const calls: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    calls.push(request.headers);
    request.resume().once('end', () => {
      if (state.refusing) {
        const key = request.headers.authorization?.slice('Bearer '.length);
        const message = `Incorrect API key provided: ${key?.slice(0, 6)}*****${key?.slice(-4)}`;
        response.writeHead(401, { 'content-type': 'application/json' });
        response.end(JSON.stringify({ error: { message, type: 'invalid_request_error', code: 'invalid_api_key' } }));
        return;
      }
      response.writeHead(200, { 'content-type': 'text/event-stream' });
      response.end(`${chunk({ role: 'assistant', content: 'pong' }, null)}${chunk({}, 'stop')}data: [DONE]\n\n`);
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const state: OpenAiServer = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    calls,
    refusing: false,
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return state;
}
