import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { exportJWK, exportSPKI, generateKeyPair, type JWK, type JWTPayload, SignJWT } from 'jose';

export const ISSUER = 'https://issuer.example';
export const AUDIENCE = 'aerie';

interface Key {
  readonly kid: string;
  readonly sign: CryptoKey;
  readonly jwk: JWK;
  readonly pem: string;
}

async function newKey(kid: string): Promise<Key> {
  const { privateKey, publicKey } = await generateKeyPair('RS256');
  const jwk = { ...(await exportJWK(publicKey)), kid, alg: 'RS256', use: 'sig' };
  return { kid, sign: privateKey, jwk, pem: await exportSPKI(publicKey) };
}

/** An issuer of tokens that publishes its keys over HTTP. */
export class TokenIssuer {
  fetched = 0;
  private published: Key[] = [];

  private constructor(
    private readonly server: ReturnType<typeof createServer>,
    readonly key: Key,
    readonly unpublished: Key,
  ) {}

  static async start(): Promise<TokenIssuer> {
    const server = createServer();
    const issuer = new TokenIssuer(server, await newKey('first'), await newKey('second'));
    issuer.published.push(issuer.key);
    server.on('request', (_request, response) => {
      issuer.fetched += 1;
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify({ keys: issuer.published.map((key) => key.jwk) }));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return issuer;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.server.address() as AddressInfo).port}/jwks.json`;
  }

  publish(key: Key): void {
    this.published.push(key);
  }

  /** A token of ten minutes; a claim that is undefined is left out. */
  token(claims: JWTPayload, key: Key = this.key): Promise<string> {
    const now = Math.floor(Date.now() / 1000);
    return new SignJWT({ iss: ISSUER, aud: AUDIENCE, sub: 'alice', iat: now, exp: now + 600, ...claims })
      .setProtectedHeader({ alg: 'RS256', kid: key.kid })
      .sign(key.sign);
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    this.server.close();
    await once(this.server, 'close');
  }
}
