import { randomBytes } from 'node:crypto';
import pg from 'pg';
import { startRedis } from './processes.mjs';

/**
 * A Redis and a database for one server: two versions may not agree on the schema, and what one publishes must not wake the other. Adds
 * to the scope what ends them.
 */
export async function startStores(scope, { folder, postgresUrl }) {
  const redis = await scope.add(startRedis(folder), (it) => it.stop());
  const database = await scope.add(createDatabase(postgresUrl), (it) => it.drop());
  return { redisUrl: redis.url, databaseUrl: database.url };
}

async function createDatabase(postgresUrl) {
  const name = `bench_${randomBytes(6).toString('hex')}`;
  await query(postgresUrl, `CREATE DATABASE ${name}`);
  // A URL with credentials must have a host; the one in the query, the socket, is what counts.
  const url = postgresUrl.replace(/@\/[^?]*/, `@localhost/${name}`);
  return { url, drop: () => query(postgresUrl, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}

async function query(url, sql) {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

/** What was started, to be stopped in reverse, whatever happened. */
export class Scope {
  #stops = [];
  #signal;

  constructor(signal) {
    this.#signal = signal;
  }

  async add(starting, stop) {
    const it = await starting;
    this.#stops.push(() => stop(it));
    this.#signal.throwIfAborted();
    return it;
  }

  async stop() {
    for (const stop of this.#stops.splice(0).reverse()) await stop();
  }
}
