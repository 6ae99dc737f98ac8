import pg from 'pg';
import { DATABASE_USER } from './cluster.js';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { errorCode, errorMessage } from './errno.js';

export const DATABASE = 'aerie';
const PORT = 5432;
const ANSWER_MS = 5_000;
const SQLSTATE = /^[0-9A-Z]{5}$/;

/** A URL for node-postgres; other clients may not know the `host` parameter. */
export function connectionString(socketDirectory: string, password: string, database = DATABASE): string {
  const host = encodeURIComponent(socketDirectory);
  return `postgresql://${DATABASE_USER}:${encodeURIComponent(password)}@/${database}?host=${host}&port=${PORT}`;
}

/** `busy`: it answers that it is starting up or shutting down. `silent`: nothing answers. */
export type Answer = { state: 'ready'; dataDirectory: string } | { state: 'busy' | 'silent' };

/** Asks the server behind a socket for its data folder and makes our database when it is not there yet. */
export async function ask(socketDirectory: string, password: string): Promise<Answer> {
  const client = new pg.Client({
    connectionString: connectionString(socketDirectory, password, 'postgres'),
    connectionTimeoutMillis: ANSWER_MS,
    query_timeout: 12 * ANSWER_MS,
  });
  // The pending call rejects as well; without a listener the event would end the process.
  client.on('error', () => undefined);
  try {
    await client.connect();
    const shown = await client.query<{ data_directory: string }>('SHOW data_directory');
    const found = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [DATABASE]);
    if (found.rowCount === 0) await client.query(`CREATE DATABASE ${DATABASE}`);
    return { state: 'ready', dataDirectory: shown.rows[0]?.data_directory ?? '' };
  } catch (error) {
    return classify(error, socketDirectory);
  } finally {
    await client.end();
  }
}

function classify(error: unknown, socketDirectory: string): Answer {
  const code = String(errorCode(error) ?? '');
  if (code === '57P03' || code === '57P01') return { state: 'busy' };
  if (code === '28P01') {
    throw new EmbeddedDatabaseError(
      'The password in postgres.password does not fit the data; put the right file back.',
    );
  }
  if (SQLSTATE.test(code)) {
    throw new EmbeddedDatabaseError(`The database behind ${socketDirectory} refuses: ${errorMessage(error)}`);
  }
  return { state: 'silent' };
}
