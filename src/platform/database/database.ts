import pg from 'pg';
import { isAway } from './failures.js';
import { DataSource, type DataSourceOptions, type EntitySchema, type MigrationInterface } from 'typeorm';

type EntityClass = abstract new (...args: never[]) => object;

export interface DatabaseParts {
  readonly url: string;
  readonly pool: number;
  readonly application_name: string;
  readonly entities: readonly (EntityClass | EntitySchema)[];
  readonly migrations: readonly (new () => MigrationInterface)[];
}

const INT8 = Number(pg.types.builtins.INT8);

/** Sequence numbers and tokens are int8 columns that stay far below 2^53: read as numbers. */
const types = {
  getTypeParser(oid: number, format?: 'text' | 'binary'): unknown {
    if (oid === INT8 && format !== 'binary') return Number;
    return pg.types.getTypeParser(oid, format);
  },
};

export function dataSourceOptions(parts: DatabaseParts): DataSourceOptions {
  return {
    type: 'postgres',
    url: parts.url,
    entities: [...parts.entities] as unknown as DataSourceOptions['entities'],
    migrations: [...parts.migrations],
    migrationsTableName: 'schema_migrations',
    synchronize: false,
    poolSize: parts.pool,
    applicationName: parts.application_name,
    connectTimeoutMS: 10_000,
    extra: { types, keepAlive: true },
  };
}

/** Values of a row as node-postgres returns them. */
export type Row = Record<string, unknown>;

/** What a statement runs on: the pool, or one connection inside a transaction. */
export interface Sql {
  /**
   * Runs one statement, prepared under `name` on each connection: the same name always has the same text. A statement without an answer for
   * `timeout_ms` (default 10 s) fails, and its connection with it: a network that swallows answers must not hold up everything behind it.
   */
  run<T extends Row>(name: string, text: string, values: readonly unknown[], timeout_ms?: number): Promise<T[]>;
}

const TIMEOUT_MS = 10_000;

/** `query_timeout` is read by node-postgres, but missing from its types. */
const statement = (name: string, text: string, values: readonly unknown[], query_timeout = TIMEOUT_MS) =>
  ({ name, text, values: [...values], query_timeout }) as pg.QueryConfig;

/** Direct access to PostgreSQL for the statements of the hot path; records with forms and lists go through TypeORM's repositories. */
export class Database implements Sql {
  constructor(
    readonly dataSource: DataSource,
    private readonly pool: pg.Pool,
  ) {}

  static async connect(parts: DatabaseParts): Promise<Database> {
    const dataSource = await new DataSource(dataSourceOptions(parts)).initialize();
    // TypeORM's driver owns the pool; statements of the hot path share it instead of opening a second one.
    const { master } = dataSource.driver as unknown as { master: pg.Pool };
    return new Database(dataSource, master);
  }

  async run<T extends Row>(name: string, text: string, values: readonly unknown[], timeout_ms?: number): Promise<T[]> {
    const result = await this.pool.query<T>(statement(name, text, values, timeout_ms));
    return result.rows;
  }

  async transaction<T>(work: (sql: Sql) => Promise<T>): Promise<T> {
    const client = await this.pool.connect();
    let broken: Error | undefined;
    // The pool listens only to idle connections; an unheard error of this one would end the process.
    const onError = (error: Error) => (broken = error);
    client.on('error', onError);
    try {
      await client.query(statement('begin', 'BEGIN', []));
      const result = await work({
        run: async <R extends Row>(name: string, text: string, values: readonly unknown[], timeout_ms?: number) =>
          (await client.query<R>(statement(name, text, values, timeout_ms))).rows,
      });
      await client.query(statement('commit', 'COMMIT', []));
      return result;
    } catch (error) {
      if (isAway(error)) broken = error as Error;
      else await client.query(statement('rollback', 'ROLLBACK', [])).catch((failure: Error) => (broken = failure));
      throw error;
    } finally {
      client.off('error', onError);
      client.release(broken);
    }
  }

  async ping(): Promise<void> {
    await this.pool.query('SELECT 1');
  }

  async close(): Promise<void> {
    await this.dataSource.destroy();
  }
}
