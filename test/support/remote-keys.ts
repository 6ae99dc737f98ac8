import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import { json } from 'node:stream/consumers';
import { KeyProvider, KeyProviderUnavailable, type WrappedKey } from '../../src/platform/crypto/key-provider.js';
import { openBytes, sealBytes, SealError } from '../../src/platform/crypto/seal.js';

interface Call {
  readonly kid: string;
  readonly bytes: string;
  readonly context: string;
}

/** A key management service: keys never leave it, every use is a call over HTTP that may be slow, fail or be refused. */
export class KeyServer {
  readonly disabled = new Set<string>();
  /** The next calls fail, as those to an overloaded service do. */
  failing = false;
  delay_ms = 0;
  readonly calls: string[] = [];

  private constructor(
    private readonly server: Server,
    private readonly keys: ReadonlyMap<string, Buffer>,
  ) {}

  static async start(keys: ReadonlyMap<string, Buffer>): Promise<KeyServer> {
    const server = createServer((request, response) => {
      const name = request.url?.slice(1) ?? '';
      void json(request)
        .then((body) => service.answer(name, body as Call))
        .then(({ status, body }) => {
          response.writeHead(status, { 'content-type': 'application/json' });
          response.end(JSON.stringify(body));
        });
    });
    const service = new KeyServer(server, keys);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return service;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private async answer(name: string, { kid, bytes, context }: Call): Promise<{ status: number; body: object }> {
    this.calls.push(name);
    if (this.delay_ms > 0) await new Promise((resolve) => setTimeout(resolve, this.delay_ms));
    if (this.failing) return { status: 503, body: {} };
    const key = this.disabled.has(kid) ? undefined : this.keys.get(kid);
    if (name === 'describe') return { status: 200, body: { holds: key !== undefined } };
    if (!key) return { status: 400, body: { reason: 'no such key, or disabled' } };
    const given = Buffer.from(bytes, 'base64');
    try {
      const made = name === 'wrap' ? sealBytes(key, given, context) : openBytes(key, given, context);
      return { status: 200, body: { bytes: made.toString('base64') } };
    } catch (error) {
      if (error instanceof SealError) return { status: 400, body: { reason: 'does not authenticate' } };
      throw error;
    }
  }
}

/** How a host application would reach it. */
export class RemoteKeys extends KeyProvider {
  constructor(
    private readonly url: string,
    private readonly active: string,
    private readonly known: readonly string[] = [active],
  ) {
    super();
  }

  override activeKeyId(): Promise<string> {
    return Promise.resolve(this.active);
  }

  override async holds(kid: string): Promise<boolean> {
    if (!this.known.includes(kid)) return false;
    return (await this.call<{ holds: boolean }>('describe', { kid, bytes: '', context: '' })).holds;
  }

  override async wrap(dataKey: Buffer, context: string): Promise<WrappedKey> {
    const call = { kid: this.active, bytes: dataKey.toString('base64'), context };
    const { bytes } = await this.call<{ bytes: string }>('wrap', call);
    return { kid: this.active, bytes: Buffer.from(bytes, 'base64') };
  }

  override async unwrap({ kid, bytes }: WrappedKey, context: string): Promise<Buffer> {
    if (!this.known.includes(kid)) throw new SealError('not a key of this account');
    const answer = await this.call<{ bytes: string }>('unwrap', { kid, bytes: bytes.toString('base64'), context });
    return Buffer.from(answer.bytes, 'base64');
  }

  private async call<T>(name: string, body: Call): Promise<T> {
    let response: Response;
    try {
      response = await fetch(`${this.url}/${name}`, { method: 'POST', body: JSON.stringify(body) });
    } catch (cause) {
      throw new KeyProviderUnavailable('the key server cannot be reached', { cause });
    }
    if (response.status >= 500) throw new KeyProviderUnavailable(`the key server answers ${response.status}`);
    if (!response.ok) throw new SealError(`the key server refuses to ${name}`);
    return (await response.json()) as T;
  }
}
