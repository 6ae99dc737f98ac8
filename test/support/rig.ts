import { randomBytes } from 'node:crypto';
import { ApiClient } from './client.js';
import { createTestDatabase, query, withDatabase } from './postgres.js';
import { type Service, startService } from './service.js';

export const newKey = (): string => randomBytes(32).toString('base64');

/** One service on a database of its own. */
export interface Rig {
  readonly url: string;
  readonly service: Service;
  readonly env: Readonly<Record<string, string>>;
  sql(text: string): Promise<Record<string, unknown>[]>;
  /** On the same server, but not in the database of the service. */
  admin(text: string): Promise<Record<string, unknown>[]>;
  client(user?: string, headers?: Record<string, string>): ApiClient;
  stop(): Promise<void>;
}

/** The servers of the tests are on this machine. */
export const LOCAL_EGRESS = { AERIE_EGRESS_ALLOW: '127.0.0.0/8' };

/** A database of its own as the environment of a service, and the way to look into it and to be rid of it. */
export async function databaseEnv() {
  const database = await createTestDatabase();
  return {
    // The service takes a URL, which needs a host; the folder of the socket wins over it.
    env: { DATABASE_URL: database.url.replace('@/', '@localhost/'), AERIE_ENCRYPTION_KEYS: newKey() },
    sql: async (text: string) => (await query(database.url, text)).rows,
    admin: async (text: string) => (await query(withDatabase(database.url, 'postgres'), text)).rows,
    drop: () => database.drop(),
  };
}

export async function startRig(env: Record<string, string> = {}, program?: string): Promise<Rig> {
  const database = await databaseEnv();
  const all = { ...database.env, ...env };
  const service = await startService({ env: all, program });
  return {
    url: service.url,
    service,
    env: all,
    sql: (text) => database.sql(text),
    admin: (text) => database.admin(text),
    client: (user, headers) => new ApiClient(service.url, user, headers),
    stop: async () => {
      await service.stop();
      await database.drop();
    },
  };
}
