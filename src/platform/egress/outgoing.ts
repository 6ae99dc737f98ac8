import { Headers, type RequestInit } from 'undici';
import { EgressRefused } from './egress-refused.js';

/** One request on its way, possibly after redirects. */
export interface Outgoing {
  readonly url: URL;
  readonly init: RequestInit & { method: string; headers: Headers };
  readonly redirect: 'follow' | 'error' | 'manual';
}

/** All that another origin gets to see of the headers: keys have many names. */
const HARMLESS = ['accept', 'accept-encoding', 'accept-language', 'content-language', 'content-type', 'user-agent'];
const REDIRECTS = new Set([301, 302, 303, 307, 308]);

type FetchArguments = Parameters<typeof globalThis.fetch>;

/** The request that a caller of `fetch` describes, in terms of the package that sends it: it does not know the classes of Node's own `fetch`. */
export async function toOutgoing(input: FetchArguments[0], init: FetchArguments[1] = {}): Promise<Outgoing> {
  const base = input instanceof Request ? input : undefined;
  const headers = new Headers([...new globalThis.Headers(init.headers ?? base?.headers)]);
  let body: unknown = init.body ?? base?.body ?? undefined;
  if (body instanceof FormData) {
    const encoded = new Response(body);
    headers.set('content-type', encoded.headers.get('content-type') ?? '');
    body = Buffer.from(await encoded.arrayBuffer());
  } else if (body instanceof URLSearchParams && !headers.has('content-type')) {
    headers.set('content-type', 'application/x-www-form-urlencoded;charset=UTF-8');
    body = body.toString();
  }
  return {
    url: new URL(input instanceof Request ? input.url : input),
    init: {
      method: (init.method ?? base?.method ?? 'GET').toUpperCase(),
      headers,
      body: body as RequestInit['body'],
      ...(body instanceof ReadableStream && { duplex: 'half' as const }),
      signal: init.signal ?? base?.signal,
    },
    redirect: init.redirect ?? base?.redirect ?? 'follow',
  };
}

/** Where an answer sends its client; null when it does not. */
export function locationOf(response: { status: number; headers: { get(name: string): string | null } }): string | null {
  return REDIRECTS.has(response.status) ? response.headers.get('location') : null;
}

/** The request a redirect asks for, by the rules of Fetch, but stricter: another origin gets no header that may be a secret. */
export function redirected({ url: from, init, redirect }: Outgoing, status: number, location: string): Outgoing {
  if (!URL.canParse(location, from)) throw new EgressRefused(`${from.host} redirects to something that is no URL.`);
  const url = new URL(location, from);
  if (from.protocol === 'https:' && url.protocol === 'http:') {
    throw new EgressRefused(`${from.host} redirects from https to http.`);
  }
  const becomesGet = status === 303 ? init.method !== 'HEAD' : status < 303 && init.method === 'POST';
  if (!becomesGet && init.body instanceof ReadableStream) {
    throw new EgressRefused(`${from.host} redirects a request whose body cannot be sent twice.`);
  }
  let headers = [...init.headers];
  if (url.origin !== from.origin) headers = headers.filter(([name]) => HARMLESS.includes(name));
  if (becomesGet) headers = headers.filter(([name]) => !name.startsWith('content-'));
  const next = { ...init, headers: new Headers(headers) };
  if (becomesGet) {
    next.method = 'GET';
    delete next.body;
    delete next.duplex;
  }
  return { url, init: next, redirect };
}
