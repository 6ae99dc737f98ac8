import { Redis } from 'ioredis';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/platform/embedded/embedded-postgres.js';
import { ApiClient } from '../support/client.js';
import { eventually } from '../support/eventually.js';
import { createTestDatabase, query } from '../support/postgres.js';
import { freePort, type RedisServer, startRedis } from '../support/redis.js';
import { newKey } from '../support/rig.js';
import { makeDataFolder, removeDataFolder } from '../support/services.js';
import { Ledger } from './ledger.js';
import { endAllNodes, type NodeProcess, type Role, startNode } from './node-process.js';

export interface StageOptions {
  /** A PostgreSQL of its own, which may be restarted; otherwise a database on the one all suites share. */
  readonly ownPostgres?: boolean;
  readonly env?: Readonly<Record<string, string>>;
}

interface Cluster {
  url: string;
  restart(): Promise<void>;
  drop(): Promise<void>;
}

/** Both stores, the ledger of the tools, one API node at a fixed address, and as many other nodes as a test starts. */
export class Stage {
  api!: NodeProcess;
  private apiPort = 0;
  private closed = false;

  private constructor(
    private readonly options: StageOptions,
    private readonly cluster: Cluster,
    private server: RedisServer,
    readonly ledger: Ledger,
    private readonly key = newKey(),
  ) {}

  static async open(options: StageOptions = {}): Promise<Stage> {
    const cluster = await (options.ownPostgres ? ownCluster() : sharedCluster());
    const stage = new Stage(options, cluster, await startRedis(), await Ledger.create());
    stage.apiPort = await freePort();
    await stage.startApi();
    return stage;
  }

  async startApi(): Promise<NodeProcess> {
    return (this.api = await this.node(['api'], { PORT: String(this.apiPort) }));
  }

  /** A worker; with an address of its own for Redis when it is to go through a link. */
  worker(redisUrl = this.redisUrl): Promise<NodeProcess> {
    return this.node(['worker'], { REDIS_URL: redisUrl, QUEUE_REDIS_URL: this.redisUrl });
  }

  get redisUrl(): string {
    return this.server.url;
  }

  get redisPort(): number {
    return this.server.port;
  }

  get redisPid(): number {
    return this.server.pid;
  }

  client(user = 'alice'): ApiClient {
    return new ApiClient(this.api.url, user);
  }

  async sql<T = Record<string, unknown>>(text: string): Promise<T[]> {
    return (await query(this.cluster.url, text)).rows as T[];
  }

  /** Like `sql`, for as long as it takes while PostgreSQL is being restarted. */
  patientSql<T = Record<string, unknown>>(text: string): Promise<T[]> {
    return eventually(() => {
      this.throwIfClosed();
      return this.sql<T>(text).catch(() => undefined);
    }, 60_000);
  }

  /** For whoever tries again and again: a suite that has failed must not leave it behind. */
  throwIfClosed(): void {
    if (this.closed) throw new Error('the stage is closed');
  }

  /** What Redis itself holds. */
  async redis<T>(ask: (client: Redis) => Promise<T>): Promise<T> {
    const client = new Redis(this.redisUrl);
    try {
      return await ask(client);
    } finally {
      client.disconnect();
    }
  }

  killRedis(): Promise<void> {
    return this.server.kill();
  }

  /** Starts it again where it was, with nothing in it. */
  async reviveRedis(): Promise<void> {
    this.server = await startRedis({ port: this.server.port });
  }

  restartPostgres(): Promise<void> {
    return this.cluster.restart();
  }

  async close(): Promise<void> {
    this.closed = true;
    await endAllNodes();
    await this.server.stop();
    await this.ledger.drop();
    await this.cluster.drop();
  }

  private node(roles: readonly Role[], env: Record<string, string>): Promise<NodeProcess> {
    return startNode(roles, {
      // The service takes a URL, which needs a host; the folder of the socket wins over it.
      DATABASE_URL: this.cluster.url.replace('@/', '@localhost/'),
      REDIS_URL: this.redisUrl,
      AERIE_ENCRYPTION_KEYS: this.key,
      AERIE_LEASE_SECONDS: '3',
      CHAOS_LEDGER_URL: this.ledger.url,
      ...this.options.env,
      ...env,
    });
  }
}

async function sharedCluster(): Promise<Cluster> {
  const database = await createTestDatabase();
  const { url } = database;
  return {
    url,
    drop: () => database.drop(),
    restart: () => Promise.reject(new Error('the shared PostgreSQL is not ours to restart')),
  };
}

async function ownCluster(): Promise<Cluster> {
  const dataDir = await makeDataFolder();
  let server: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir });
  return {
    url: server.connectionString,
    restart: async () => {
      await server.stop();
      server = await startEmbeddedPostgres({ dataDir });
    },
    drop: async () => {
      await server.stop();
      await removeDataFolder(dataDir);
    },
  };
}
