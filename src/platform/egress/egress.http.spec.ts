import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { once } from 'node:events';
import { createServer, type IncomingHttpHeaders, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { gzipSync } from 'node:zlib';
import { Egress } from './egress.js';
import type { EgressRefused } from './egress-refused.js';
import type { Resolve } from './resolve.js';

interface Seen {
  method: string | undefined;
  url: string | undefined;
  headers: IncomingHttpHeaders;
  body: string;
  /** Where the connection arrived. */
  at: string | undefined;
}

let server: Server;
let port: number;
let seen: Seen[];
let connections: number;
let answer: (response: ServerResponse, request: Seen) => void;
const opened: Egress[] = [];

beforeEach(async () => {
  seen = [];
  connections = 0;
  answer = (response) => response.end('pong');
  server = createServer((request, response) => {
    let body = '';
    request.setEncoding('utf8').on('data', (text: string) => (body += text));
    request.on('end', () => {
      const { method, url, headers, socket } = request;
      const it = { method, url, headers, body, at: socket.localAddress };
      seen.push(it);
      answer(response, it);
    });
  });
  server.on('connection', () => (connections += 1));
  server.listen(0, '0.0.0.0');
  await once(server, 'listening');
  ({ port } = server.address() as AddressInfo);
});
afterEach(async () => {
  await Promise.all(opened.splice(0).map((egress) => egress.close()));
  server.closeAllConnections();
  server.close();
  await once(server, 'close');
});

function open(allow: string[], resolve?: Resolve): Egress {
  const egress = new Egress({ allow, connections: 4, resolve });
  opened.push(egress);
  return egress;
}

/** A name server that gives one answer after the other, and the last one for ever. */
function names(...answers: string[][]) {
  return jest.fn<Resolve>(() => Promise.resolve((answers.length > 1 ? answers.shift() : answers[0]) ?? []));
}

async function refusalOf(pending: Promise<unknown>): Promise<EgressRefused> {
  const error: unknown = await pending.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toMatchObject({ name: 'EgressRefused', code: 'egress_refused' });
  return error as EgressRefused;
}

describe('a name', () => {
  it('of the public network that leads inside is refused, and the client does not learn where', async () => {
    const { fetch } = open([], names(['127.0.0.1']));
    const { message } = await refusalOf(fetch(`http://rebind.example:${port}/`));
    expect(message).toContain('rebind.example');
    expect(message).not.toContain('127.0.0.1');
    expect(connections).toBe(0);
  });

  it('is connected to at the one address that was checked, and resolved once', async () => {
    const resolve = names(['169.254.169.254', '127.0.0.3', '10.0.0.1'], ['127.0.0.1']);
    const { fetch } = open(['127.0.0.3'], resolve);
    expect(await (await fetch(`http://mixed.example:${port}/`)).text()).toBe('pong');
    expect(seen.map(({ at, headers }) => [at, headers.host])).toEqual([['127.0.0.3', `mixed.example:${port}`]]);
    expect(resolve.mock.calls).toEqual([['mixed.example', false]]);
  });

  it('that changes its mind between two connections is refused at the second', async () => {
    answer = (response) => response.setHeader('connection', 'close').end('pong');
    const { fetch } = open(['127.0.0.3'], names(['127.0.0.3'], ['127.0.0.1']));
    const url = `http://rebind.example:${port}/`;
    await (await fetch(url)).text();
    await refusalOf(fetch(url));
    expect(connections).toBe(1);
  });

  it('that has no allowed address among many is refused', async () => {
    const { fetch } = open([], names(['10.0.0.1', '::ffff:127.0.0.1', 'fd00::1']));
    await refusalOf(fetch(`http://many.example:${port}/`));
  });

  it('that the operator named may lead anywhere, on its port', async () => {
    const resolve = names(['127.0.0.1']);
    const { fetch } = open([`ollama:${port}`], resolve);
    expect((await fetch(`http://ollama:${port}/`)).status).toBe(200);
    expect(resolve).toHaveBeenCalledWith('ollama', true);
    await refusalOf(fetch(`http://ollama:${port + 1}/`));
  });

  it('of the machine itself is not asked for', async () => {
    const resolve = names(['8.8.8.8']);
    const { fetch } = open([`localhost:${port}`], resolve);
    expect((await fetch(`http://any.localhost:${port}/`)).status).toBe(200);
    expect(seen[0]?.at).toBe('127.0.0.1');
    expect(resolve).not.toHaveBeenCalled();
  });

  it('that does not resolve is a failure of the network', async () => {
    const { fetch } = open([], () => Promise.reject(new Error('no such name')));
    await expect(fetch('http://nowhere.example/')).rejects.toMatchObject({ message: 'fetch failed' });
  });
});

describe('an address', () => {
  it.each(['http://127.0.0.1', 'http://127.1', 'http://[::1]', 'http://localhost', 'http://169.254.169.254'])(
    'in %s is refused without a connection',
    async (host) => {
      const resolve = names(['127.0.0.1']);
      await refusalOf(open([], resolve).fetch(`${host}:${port}/`));
      expect(connections).toBe(0);
      expect(resolve).not.toHaveBeenCalled();
    },
  );

  it('that is allowed is reached', async () => {
    expect((await open(['127.0.0.0/8']).fetch(`http://127.0.0.9:${port}/`)).status).toBe(200);
    expect(seen[0]?.at).toBe('127.0.0.9');
  });
});

describe('a redirect', () => {
  const secrets = {
    authorization: 'Bearer k',
    'x-api-key': 'k',
    'api-key': 'k',
    'x-goog-api-key': 'k',
    cookie: 'k=1',
    'some-new-key': 'k',
  };
  const to = (status: number, location: string) => (response: ServerResponse, request: Seen) => {
    if (request.url === '/end') response.end('pong');
    else response.writeHead(status, { location }).end('moved');
  };
  const post = (body: BodyInit = '{}'): RequestInit => ({
    method: 'POST',
    body,
    headers: { ...secrets, 'content-type': 'application/json', accept: 'text/event-stream' },
  });

  it.each([
    'http://169.254.169.254/latest/meta-data',
    'http://127.0.0.2/',
    'http://[::1]/',
    '//10.0.0.1/',
    'file:///etc/passwd',
  ])('to %s is refused', async (location) => {
    answer = to(302, location);
    await refusalOf(open(['127.0.0.1']).fetch(`http://127.0.0.1:${port}/`));
    expect(seen).toHaveLength(1);
  });

  it('to a name that leads inside is refused', async () => {
    answer = to(307, 'http://inside.example/');
    const { fetch } = open([`entry.example:${port}`], (host) =>
      Promise.resolve([host === 'entry.example' ? '127.0.0.1' : '10.0.0.1']),
    );
    await refusalOf(fetch(`http://entry.example:${port}/`));
  });

  it('within an origin keeps everything', async () => {
    answer = to(308, '/end');
    const response = await open(['127.0.0.1']).fetch(`http://127.0.0.1:${port}/`, post());
    expect(await response.text()).toBe('pong');
    expect(seen[1]).toMatchObject({ method: 'POST', body: '{}', headers: secrets });
  });

  it('to another origin takes no secret along', async () => {
    answer = to(307, `http://127.0.0.2:${port}/end`);
    await open(['127.0.0.0/8']).fetch(`http://127.0.0.1:${port}/`, post());
    expect(seen[1]).toMatchObject({ method: 'POST', body: '{}', at: '127.0.0.2' });
    expect(seen[1]?.headers).toMatchObject({ 'content-type': 'application/json', accept: 'text/event-stream' });
    for (const name of Object.keys(secrets)) expect(seen[1]?.headers).not.toHaveProperty(name);
  });

  it('makes a GET of a POST where the web does', async () => {
    answer = to(302, '/end');
    await open(['127.0.0.1']).fetch(`http://127.0.0.1:${port}/`, post());
    expect(seen[1]).toMatchObject({ method: 'GET', body: '' });
    expect(seen[1]?.headers).not.toHaveProperty('content-type');
  });

  it('is followed five times', async () => {
    answer = (response, { url }) =>
      url === '/5'
        ? response.end('pong')
        : response.writeHead(302, { location: `/${Number(url?.slice(1)) + 1}` }).end();
    const { fetch } = open(['127.0.0.1']);
    expect(await (await fetch(`http://127.0.0.1:${port}/0`)).text()).toBe('pong');
    seen = [];
    expect((await refusalOf(fetch(`http://127.0.0.1:${port}/-1`))).message).toContain('too often');
    expect(seen).toHaveLength(6);
  });

  it.each([
    ['with a password', (port: number) => `http://u:p@127.0.0.1:${port}/end`],
    ['to no URL', () => 'http://['],
  ])('%s is refused', async (_, location) => {
    answer = to(302, location(port));
    await refusalOf(open(['127.0.0.1']).fetch(`http://127.0.0.1:${port}/`));
  });

  it('of a body that was streamed is refused', async () => {
    answer = to(307, '/end');
    const init = { ...post(new Blob(['{}']).stream()), duplex: 'half' } as RequestInit;
    await refusalOf(open(['127.0.0.1']).fetch(`http://127.0.0.1:${port}/`, init));
  });

  it('is left to callers who say so', async () => {
    answer = to(302, '/end');
    const { fetch } = open(['127.0.0.1']);
    const url = `http://127.0.0.1:${port}/`;
    expect((await fetch(url, { redirect: 'manual' })).headers.get('location')).toBe('/end');
    await refusalOf(fetch(url, { redirect: 'error' }));
  });
});

describe('an answer', () => {
  const limits = { failure: 10, answer: 40, line: 20 };
  const bounded = () => {
    const egress = new Egress({ allow: ['127.0.0.1'], connections: 4, limits });
    opened.push(egress);
    return egress.fetch(`http://127.0.0.1:${port}/`);
  };

  it.each([
    ['a failure', 400, 'x'.repeat(11)],
    ['a redirect to nowhere', 302, 'x'.repeat(11)],
    ['a stream', 200, 'x\n'.repeat(21)],
    ['a line', 200, `x\n${'x'.repeat(21)}`],
  ])('that is too large fails as it is read: %s', async (_name, status, body) => {
    answer = (response) => response.writeHead(status).end(body);
    const response = await bounded();
    expect(response.status).toBe(status);
    await expect(response.text()).rejects.toMatchObject({ name: 'AnswerTooLarge', code: 'answer_too_large' });
  });

  it('that is compressed counts as it is read', async () => {
    answer = (response) => response.writeHead(400, { 'content-encoding': 'gzip' }).end(gzipSync('x'.repeat(1000)));
    await expect((await bounded()).text()).rejects.toMatchObject({ name: 'AnswerTooLarge' });
  });

  it.each([
    [400, 'x'.repeat(10)],
    [200, `${'x'.repeat(19)}\n${'x'.repeat(20)}`],
  ])('within the limits is as it was sent: %i', async (status, body) => {
    answer = (response) => response.writeHead(status, 'So So', { 'x-a': 'b' }).end(body);
    const response = await bounded();
    expect([response.status, response.statusText, response.headers.get('x-a')]).toEqual([status, 'So So', 'b']);
    expect(await response.text()).toBe(body);
  });
});

describe('like any fetch it', () => {
  it('sends what Node makes: a request, a form, parameters', async () => {
    const { fetch } = open(['127.0.0.1']);
    const url = `http://127.0.0.1:${port}/`;
    await fetch(new Request(url, { method: 'PUT', body: 'whole', headers: { 'x-own': '1' } }));
    const form = new FormData();
    form.set('file', new Blob(['inside']), 'a.txt');
    await fetch(url, { method: 'POST', body: form, headers: new Headers({ 'x-own': '2' }) });
    await fetch(url, { method: 'POST', body: new URLSearchParams({ a: 'b c' }) });
    expect(seen[0]).toMatchObject({ method: 'PUT', body: 'whole', headers: { 'x-own': '1' } });
    expect(seen[1]?.headers['content-type']).toMatch(/^multipart\/form-data; boundary=/);
    expect(seen[1]?.body).toContain('inside');
    expect(seen[2]).toMatchObject({ body: 'a=b+c', headers: { 'content-type': /urlencoded/ } });
  });

  it('ends with its signal, with the reason given', async () => {
    const arrived = Promise.withResolvers<ServerResponse>();
    answer = (response) => arrived.resolve(response);
    const stop = new AbortController();
    const pending = open(['127.0.0.1']).fetch(`http://127.0.0.1:${port}/`, { signal: stop.signal });
    const response = await arrived.promise;
    const closed = once(response, 'close');
    const reason = new Error('stopped');
    stop.abort(reason);
    await expect(pending).rejects.toBe(reason);
    await closed;
  });

  it('keeps connections, not more of them than told, and closes them', async () => {
    const waiting: ServerResponse[] = [];
    answer = (response) => void waiting.push(response);
    const egress = open(['127.0.0.1']);
    const all = Array.from({ length: 6 }, () => egress.fetch(`http://127.0.0.1:${port}/`).then((it) => it.text()));
    while (seen.length < 4) await once(server, 'request');
    answer = (response) => response.end('pong');
    for (const response of waiting) response.end('pong');
    expect(await Promise.all(all)).toEqual(Array(6).fill('pong'));
    expect(connections).toBe(4);
    await egress.close();
    await expect(egress.fetch(`http://127.0.0.1:${port}/`)).rejects.toThrow('fetch failed');
  });

  it('does not wait for an answer for ever when it is closed', async () => {
    answer = (response) => void response.writeHead(200).write('half');
    const egress = open(['127.0.0.1']);
    const response = await egress.fetch(`http://127.0.0.1:${port}/`);
    const text = response.text();
    text.catch(() => undefined);
    await egress.close();
    await expect(text).rejects.toThrow();
  });
});
