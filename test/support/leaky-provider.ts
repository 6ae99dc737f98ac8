import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';

/** How it treats the next calls; `silent` never answers. */
export type Manner = 'answers' | 'refuses' | 'fails' | 'silent';

export interface LeakyProvider {
  /** As `base_url` of a credential. */
  readonly url: string;
  /** Headers of the calls, in order. */
  readonly calls: IncomingHttpHeaders[];
  manner: Manner;
  stop(): Promise<void>;
}

const chunk = (delta: object, finish_reason: string | null) =>
  `data: ${JSON.stringify({ id: 'c', object: 'chat.completion.chunk', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`;

/** A server shaped like OpenAI's that repeats what it was sent wherever it can: in its headers, and in what it says when it refuses. */
export async function startLeakyProvider(): Promise<LeakyProvider> {
  const calls: IncomingHttpHeaders[] = [];
  const server = createServer((request, response) => {
    calls.push(request.headers);
    request.resume().once('end', () => {
      const { authorization = '' } = request.headers;
      const key = authorization.slice('Bearer '.length);
      response.setHeader('x-you-sent', authorization);
      response.setHeader('set-cookie', `key=${encodeURIComponent(key)}`);
      if (state.manner === 'silent') return;
      if (state.manner === 'answers') {
        response.writeHead(200, { 'content-type': 'text/event-stream' });
        response.end(`${chunk({ role: 'assistant', content: 'pong' }, null)}${chunk({}, 'stop')}data: [DONE]\n\n`);
        return;
      }
      const said = [
        `Incorrect key: ${key}`,
        JSON.stringify(request.headers),
        `https://u:${encodeURIComponent(key)}@h`,
        Buffer.from(key).toString('base64'),
      ];
      const error = { message: said.join(' | '), type: 'invalid_request_error', code: key, param: authorization };
      response.writeHead(state.manner === 'refuses' ? 401 : 500, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ error }));
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const state: LeakyProvider = {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    calls,
    manner: 'answers',
    stop: async () => {
      server.closeAllConnections();
      server.close();
      await once(server, 'close');
    },
  };
  return state;
}
