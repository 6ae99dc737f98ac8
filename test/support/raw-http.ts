import { request as openRequest, type IncomingHttpHeaders } from 'node:http';
import { text as readText } from 'node:stream/consumers';

export interface RawRequest {
  readonly method?: string;
  /** As sent: `host` may name anything, and nothing is added but what HTTP/1.1 needs. */
  readonly headers?: Record<string, string>;
  readonly body?: string;
}

export interface RawAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  readonly body: Record<string, unknown>;
}

interface Problem {
  error: { code: string; message: string; details?: unknown };
  request_id: string;
}

/** One request as bytes say it, with headers that `fetch` keeps to itself. An event stream is left after its head. */
export function send(base: string, path: string, options: RawRequest = {}): Promise<RawAnswer> {
  const { hostname, port } = new URL(base);
  const { method = 'GET', headers = {}, body } = options;
  return new Promise((resolve, reject) => {
    const request = openRequest({ hostname, port, path, method, headers, agent: false }, (response) => {
      const head = { status: response.statusCode ?? 0, headers: response.headers };
      if (response.headers['content-type']?.startsWith('text/event-stream')) {
        response.destroy();
        resolve({ ...head, text: '', body: {} });
        return;
      }
      readText(response).then((text) => {
        const json = response.headers['content-type']?.includes('json') && text !== '';
        resolve({ ...head, text, body: json ? (JSON.parse(text) as Record<string, unknown>) : {} });
      }, reject);
    });
    request.once('error', reject);
    request.end(body);
  });
}

/** The body of an error, checked for its shape. */
export function problem({ body, text }: { body: unknown; text: string }): Problem {
  const { error, request_id } = body as Partial<Problem>;
  if (typeof error?.code !== 'string' || typeof error.message !== 'string' || typeof request_id !== 'string') {
    throw new Error(`not an error of the native API: ${text}`);
  }
  return { error, request_id };
}

export const codeOf = (answer: { body: unknown; text: string }): string => problem(answer).error.code;
