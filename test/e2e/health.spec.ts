import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from '../support/client.js';
import { eventually } from '../support/eventually.js';
import { freePort, type RedisServer, startRedis } from '../support/redis.js';
import { databaseEnv, type Rig, startRig } from '../support/rig.js';
import { runToExit, startService } from '../support/service.js';

interface Probe {
  status: number;
  text: string;
  body: Record<string, unknown>;
}

async function probe(url: string, path: string): Promise<Probe> {
  const response = await fetch(url + path);
  const text = await response.text();
  return { status: response.status, text, body: JSON.parse(text) as Record<string, unknown> };
}

const up = { status: 'up', response_time_ms: expect.any(Number) };
const ready = { status: 200, body: { status: 'healthy' } };

describe('with the in-process bus', () => {
  let rig: Rig;
  beforeAll(async () => {
    rig = await startRig();
  }, 30_000);
  afterAll(() => rig.stop());

  it('every component is up', async () => {
    const { status, body } = await probe(rig.url, '/health');
    expect([status, body]).toEqual([
      200,
      {
        status: 'healthy',
        version: expect.stringMatching(/^\d+\.\d+\.\d+/),
        timestamp: expect.stringMatching(/Z$/),
        components: { postgres: up, bus: up, queue: up },
      },
    ]);
    expect(await probe(rig.url, '/readiness')).toMatchObject(ready);
    expect(await probe(rig.url, '/liveness')).toMatchObject(ready);
  });

  it('a database that closes its connections is seen, and seen again when it is back', async () => {
    await rig.admin(`ALTER DATABASE ${databaseName(rig)} ALLOW_CONNECTIONS false`);
    await rig.admin(`SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${databaseName(rig)}'`);
    const { body } = await eventually(async () => {
      const seen = await probe(rig.url, '/readiness');
      return seen.status === 503 ? seen : undefined;
    });
    expect(body).toEqual({ status: 'unhealthy', reasons: ['postgres is unreachable'] });
    expect(await probe(rig.url, '/health')).toMatchObject({
      status: 503,
      body: { status: 'unhealthy', components: { postgres: { status: 'down' } } },
    });
    expect(await probe(rig.url, '/liveness')).toMatchObject(ready);
    await rig.admin(`ALTER DATABASE ${databaseName(rig)} ALLOW_CONNECTIONS true`);
    await eventually(async () => ((await probe(rig.url, '/readiness')).status === 200 ? true : undefined));
  });
});

function databaseName(rig: Rig): string {
  return /\/(test_\w+)\?/.exec(String(rig.env['DATABASE_URL']))?.[1] ?? '';
}

describe('with Redis', () => {
  let redis: RedisServer;
  let rig: Rig;

  beforeAll(async () => {
    redis = await startRedis();
    rig = await startRig({ REDIS_URL: `redis://:canary-password@127.0.0.1:${redis.port}` });
  }, 30_000);
  afterAll(async () => {
    await rig.stop();
    await redis.stop();
  });

  it('is ready, sick while Redis is away, and ready again; never says where Redis is', async () => {
    expect(await probe(rig.url, '/readiness')).toMatchObject(ready);
    expect((await probe(rig.url, '/health')).body).toMatchObject({
      components: { postgres: up, redis: up, queue: up },
    });

    await redis.kill();
    const sick = await eventually(async () => {
      const seen = await probe(rig.url, '/readiness');
      return seen.status === 503 ? seen : undefined;
    });
    expect(sick.body).toEqual({ status: 'unhealthy', reasons: ['redis is unreachable'] });
    const report = await probe(rig.url, '/health');
    expect(report).toMatchObject({
      status: 503,
      body: { status: 'unhealthy', components: { postgres: up, redis: { status: 'down' } } },
    });
    expect(await probe(rig.url, '/liveness')).toMatchObject(ready);
    for (const { text } of [sick, report]) {
      expect(text).not.toMatch(/canary|127\.0\.0\.1|localhost|ECONNREFUSED|redis:|postgres:|aerie-test/);
      expect(text).not.toContain(String(redis.port));
    }

    redis = await startRedis({ port: redis.port });
    await eventually(async () => ((await probe(rig.url, '/readiness')).status === 200 ? true : undefined));
    const client = rig.client();
    const { session_id } = await client.demoSession();
    await client.say(session_id, 'still there?');
    const stream = await client.stream(session_id);
    await stream.replies();
    stream.close();
    expect(rig.service.output()).not.toContain('canary-password');
  }, 30_000);
});

describe('a stopping process', () => {
  it('says that it drains while it still serves, and leaves its run to the next', async () => {
    const database = await databaseEnv();
    try {
      const service = await startService({ env: { ...database.env, AERIE_SHUTDOWN_DELAY_SECONDS: '2' } });
      const client = new ApiClient(service.url);
      const { session_id } = await client.demoSession();
      const stream = await client.stream(session_id);
      await client.say(session_id, '/say one\n/sleep 600000\n/say two');
      await stream.until(({ event }) => event.type === 'TEXT_BLOCK_DELTA');
      const stopped = service.stop();
      const draining = await eventually(async () => {
        const seen = await probe(service.url, '/readiness');
        return seen.status === 503 ? seen : undefined;
      });
      expect(draining.body).toEqual({ status: 'unhealthy', reasons: ['draining'] });
      expect(await probe(service.url, '/liveness')).toMatchObject(ready);
      expect(await stopped).toBe(0);
      await stream.end();
      const runs = await database.sql('SELECT status, attempt FROM runs');
      expect(runs).toEqual([{ status: 'running', attempt: 1 }]);
      expect(await database.sql('SELECT lease_owner FROM session_leases')).toEqual([{ lease_owner: null }]);
    } finally {
      await database.drop();
    }
  }, 30_000);
});

describe('a start that cannot be', () => {
  const KEYS = Buffer.alloc(32, 7).toString('base64');
  let database: Awaited<ReturnType<typeof databaseEnv>>;
  beforeAll(async () => {
    database = await databaseEnv();
  });
  afterAll(() => database.drop());

  /** The one line that says why, without a stack; what it keeps to itself is nowhere in the output. */
  async function failsNaming(variable: string, env: Record<string, string>, secret = 'hunter2-canary') {
    const { code, output } = await runToExit({ env: { AERIE_ENCRYPTION_KEYS: KEYS, ...env } });
    const line = expect.stringMatching(new RegExp(`^Aerie cannot start: ${variable}: .+$`));
    expect([code, output.trim().split('\n')]).toEqual([1, [line]]);
    expect(output).not.toContain(secret);
    return output;
  }

  it('names DATABASE_URL when nothing listens there', async () => {
    const url = `postgres://me:hunter2-canary@127.0.0.1:${await freePort()}/aerie`;
    expect(await failsNaming('DATABASE_URL', { DATABASE_URL: url })).toContain('ECONNREFUSED');
  });

  it('names DATABASE_URL when the password is wrong', async () => {
    const url = database.env.DATABASE_URL.replace(/\/\/(\w+):[^@]*@/, '//$1:hunter2-canary@');
    expect(await failsNaming('DATABASE_URL', { DATABASE_URL: url })).toContain('password');
  });

  it('names DATABASE_URL when the database does not exist', async () => {
    const url = database.env.DATABASE_URL.replace(/\/test_\w+/, '/test_nowhere');
    expect(await failsNaming('DATABASE_URL', { DATABASE_URL: url })).toContain('does not exist');
  });

  it('names REDIS_URL when nothing listens there, and leaves nothing on the database', async () => {
    const url = `redis://:hunter2-canary@127.0.0.1:${await freePort()}`;
    await failsNaming('REDIS_URL', { ...database.env, REDIS_URL: url });
    const name = /\/(test_\w+)/.exec(database.env.DATABASE_URL)?.[1] ?? '';
    const left = await eventually(async () => {
      const rows = await database.sql(
        `SELECT application_name FROM pg_stat_activity WHERE datname = '${name}' AND pid <> pg_backend_pid()`,
      );
      return rows.length === 0 ? rows : undefined;
    });
    expect(left).toEqual([]);
  });

  it('names REDIS_URL when a second process has only its own bus', async () => {
    const first = await startService({ env: database.env });
    try {
      expect(await failsNaming('REDIS_URL', database.env)).toContain('another Aerie process');
    } finally {
      await first.stop();
    }
  }, 30_000);

  it('names PORT when somebody listens there', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address ? String(address.port) : '';
    try {
      expect(await failsNaming('PORT', { ...database.env, PORT: port })).toContain(port);
    } finally {
      server.close();
      await once(server, 'close');
    }
  });

  it('names the data folder when it is a file', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'aerie-file-'));
    const dataDir = join(folder, 'taken');
    await writeFile(dataDir, '');
    try {
      const { code, output } = await runToExit({ dataDir });
      expect([code, output.trim().split('\n')]).toEqual([
        1,
        [expect.stringMatching(/^Aerie cannot start: .*data folder/)],
      ]);
      expect(output).toContain(dataDir);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  });

  it.each<[string, Record<string, string>]>([
    ['TRUSTED_PROXY_SECRET', { HOST: '0.0.0.0', ALLOWED_HOSTS: '*' }],
    ['AERIE_ENCRYPTION_KEYS', { AERIE_ENCRYPTION_KEYS: 'hunter2-canary' }],
  ])('names %s', async (variable, env) => {
    await failsNaming(variable, { ...database.env, ...env });
  });
});
