import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Authenticator, type AuthRequest } from '../../src/auth/authenticator.js';
import { Principal } from '../../src/auth/principal.js';
import { createApp } from '../../src/bootstrap.js';
import { InterruptBackend, type InterruptSignal } from '../../src/interrupts/interrupt-backend.js';
import { loadConfig } from '../../src/platform/config/config.js';
import { AerieError } from '../../src/platform/http/errors.js';
import { ApiClient, EventStream } from '../support/client.js';
import { databaseEnv, type Rig, startRig } from '../support/rig.js';
import { AUDIENCE, ISSUER, TokenIssuer } from '../support/token-issuer.js';

const now = () => Math.floor(Date.now() / 1000);

describe('a stream behind a token', () => {
  let issuer: TokenIssuer;
  let rig: Rig;

  beforeAll(async () => {
    issuer = await TokenIssuer.start();
    const env = { AUTH_MODE: 'jwt', JWT_ISSUER: ISSUER, JWT_AUDIENCE: AUDIENCE, JWT_JWKS_URL: issuer.url };
    rig = await startRig(env);
  }, 30_000);
  afterAll(async () => {
    await rig.stop();
    await issuer.stop();
  });

  it('ends when the token has expired, as an ordinary end that says when to come back', async () => {
    const bearer = async (exp: number) => ({ authorization: `Bearer ${await issuer.token({ exp })}` });
    const client = new ApiClient(rig.url, '', await bearer(now() + 600));
    const { session_id } = await client.demoSession();
    const path = `${rig.url}/sessions/${session_id}/stream`;
    const lasting = await EventStream.open(path, await bearer(now() + 600));
    const short = await EventStream.open(path, await bearer(now() + 1));
    await short.end();
    expect(short.failure).toBeUndefined();
    expect(short.raw.trimEnd().split('\n').at(-1)).toMatch(/^retry: \d+$/);
    expect(lasting.ended).toBe(false);
    lasting.close();
  }, 20_000);
});

/** Lets in whoever is on its list at the moment. */
class ListAuthenticator extends Authenticator {
  readonly users = new Set(['alice', 'bob']);
  away = false;
  asked = 0;

  override authenticate({ headers }: AuthRequest): Principal | null {
    this.asked += 1;
    if (this.away) throw new AerieError('unavailable', 'The list cannot be read.');
    const user = String(headers['x-user-id']);
    return this.users.has(user) ? new Principal('acme', user) : null;
  }
}

/** Keeps what it is told, and tells nobody. */
class SilentBackend extends InterruptBackend {
  readonly signals: InterruptSignal[] = [];

  override async publish(signal: InterruptSignal): Promise<void> {
    this.signals.push(signal);
  }

  override async subscribe(): Promise<() => void> {
    return () => undefined;
  }
}

describe('with an authenticator and an interrupt backend of its own', () => {
  let database: Awaited<ReturnType<typeof databaseEnv>>;
  let app: NestFastifyApplication;
  let url: string;
  const authenticator = new ListAuthenticator();
  const interruptBackend = new SilentBackend();

  beforeAll(async () => {
    database = await databaseEnv();
    const env = { ...database.env, LOG_LEVEL: 'silent', AERIE_STREAM_REAUTH_SECONDS: '1' };
    app = await createApp({ config: loadConfig(env), authenticator, interruptBackend });
    await app.listen({ host: '127.0.0.1', port: 0 });
    url = (await app.getUrl()).replace('[::1]', '127.0.0.1');
  }, 30_000);
  afterAll(async () => {
    await app.close();
    await database.drop();
  });

  it('a user who is removed loses the streams; an authenticator that is away takes nobody one', async () => {
    const [alice, bob] = [new ApiClient(url, 'alice'), new ApiClient(url, 'bob')];
    const streams = await Promise.all(
      [alice, bob].map(async (client) => client.stream((await client.demoSession()).session_id)),
    );
    authenticator.away = true;
    const asked = authenticator.asked;
    const { promise, resolve } = Promise.withResolvers<void>();
    const timer = setInterval(() => authenticator.asked >= asked + 4 && resolve(), 20);
    await promise;
    clearInterval(timer);
    expect(streams.map((stream) => stream.ended)).toEqual([false, false]);
    authenticator.away = false;
    authenticator.users.delete('bob');
    await streams[1]?.end();
    expect(streams[0]?.ended).toBe(false);
    streams[0]?.close();
  }, 20_000);

  it('a stop goes by that backend, and holds although nobody hears it', async () => {
    const client = new ApiClient(url, 'alice');
    const { session_id } = await client.demoSession();
    const stream = await client.stream(session_id);
    const { run_id } = await client.say(session_id, '/say one\n/sleep 600000');
    await stream.until(({ event }) => event.type === 'TEXT_BLOCK_DELTA');
    await client.ok('POST', `/sessions/${session_id}/interrupt`);
    expect((await stream.replies()).event).toMatchObject({ finished_reason: 'interrupted' });
    expect(interruptBackend.signals).toEqual([{ tenant_id: 'acme', session_id, run_id, mode: 'interrupt' }]);
    stream.close();
  });
});
