import { type DynamicModule, Global, Logger, Module } from '@nestjs/common';
import { randomBytes } from 'node:crypto';
import { hostname } from 'node:os';
import { Config } from '../config/config.js';
import { startEmbeddedPostgres } from '../embedded/embedded-postgres.js';
import { Resources } from '../lifecycle/resources.js';
import { Database, type DatabaseParts } from './database.js';
import { NodeLock, withMigrationLock } from './locks.js';

/** The database cannot be used; the message is one line for the operator and tells no password. */
export class DatabaseStartError extends Error {
  override readonly name = 'DatabaseStartError';
}

/** Names this process among the nodes on the database: lease owner and application name. */
export class NodeIdentity {
  readonly id = `${hostname().slice(0, 40)}:${process.pid}:${randomBytes(3).toString('hex')}`;
}

/** Where PostgreSQL is: as configured, or the embedded one this process started. */
export class DatabaseUrl {
  constructor(
    readonly value: string,
    readonly embedded: boolean,
  ) {}
}

@Global()
@Module({})
export class DatabaseModule {
  static forRoot(parts: Pick<DatabaseParts, 'entities' | 'migrations'>): DynamicModule {
    const logger = new Logger('Database');
    return {
      module: DatabaseModule,
      providers: [
        NodeIdentity,
        {
          provide: DatabaseUrl,
          inject: [Config, Resources],
          useFactory: async (config: Config, resources: Resources) => {
            if (config.database.url) return new DatabaseUrl(config.database.url, false);
            const url = await resources.start(
              'embedded postgres',
              () => openEmbedded(config, logger),
              (it) => it.stop(),
            );
            return new DatabaseUrl(url.connectionString, true);
          },
        },
        {
          provide: Database,
          inject: [Config, Resources, DatabaseUrl, NodeIdentity],
          useFactory: async (config: Config, resources: Resources, url: DatabaseUrl, node: NodeIdentity) => {
            const database = await resources.start(
              'database',
              () =>
                openDatabase({
                  ...parts,
                  url: url.value,
                  pool: config.database.pool,
                  application_name: `aerie ${node.id}`,
                }),
              (it) => it.close(),
            );
            await resources.start(
              'node lock',
              () => lockNode(config, url, logger),
              (it) => it.release(),
            );
            await resources.start(
              'migrations',
              () => migrate(database, url.value),
              () => undefined,
            );
            return database;
          },
        },
      ],
      exports: [Database, DatabaseUrl, NodeIdentity],
    };
  }
}

/** Connects, or says in one line why it cannot. */
export async function openDatabase(parts: DatabaseParts): Promise<Database> {
  try {
    return await Database.connect(parts);
  } catch (error) {
    throw new DatabaseStartError(`DATABASE_URL: PostgreSQL cannot be used: ${reason(error)}`, { cause: error });
  }
}

/** Brings the schema up to date. Everything happens under the lock: even asking what is pending creates the table of migrations. */
export async function migrate(database: Database, url: string): Promise<void> {
  await withMigrationLock(url, () => database.dataSource.runMigrations({ transaction: 'each' }));
}

/** The embedded server outlives this process when another node still works on it. */
async function openEmbedded(config: Config, logger: Logger) {
  const server = await startEmbeddedPostgres({ dataDir: config.data_dir, log: (line) => logger.debug(line) });
  return {
    connectionString: server.connectionString,
    stop: async () => {
      const alone = await NodeLock.acquire(server.connectionString, true, () => undefined);
      if (!alone) return;
      await alone.release();
      await server.stop();
    },
  };
}

async function lockNode(config: Config, url: DatabaseUrl, logger: Logger): Promise<NodeLock> {
  const exclusive = config.redis.url === undefined;
  const lock = await NodeLock.acquire(url.value, exclusive, (error) =>
    logger.error({ err: error }, 'The lock of this node on the database was lost'),
  );
  if (lock) return lock;
  throw new DatabaseStartError(
    exclusive
      ? 'REDIS_URL: another Aerie process works on this database; several processes need Redis as their bus'
      : 'REDIS_URL: an Aerie process without Redis works on this database; stop it or give it REDIS_URL',
  );
}

/** What went wrong with a connection, without the connection string. */
function reason(error: unknown): string {
  const failure = error as { code?: string; message?: string; errors?: { code?: string }[] };
  const code = failure.code ?? failure.errors?.[0]?.code;
  const message = (failure.message ?? '').split('\n')[0]?.replace(/postgres(ql)?:\/\/\S+/g, '<url>');
  return [code, message].filter(Boolean).join(' ') || 'unknown reason';
}
