import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../src/platform/embedded/embedded-postgres.js';
import { readIfPresent } from '../../src/platform/embedded/files.js';
import { startRedis } from './redis.js';

type Stop = () => Promise<void>;

declare global {
  var stopTestServices: Stop | undefined;
}

const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;

/** Starts what the suites share, publishes its addresses in the environment, and gives the way to stop it all. */
export async function startServices(): Promise<Stop> {
  const running: Stop[] = [];
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => (stopping ??= unwind(running));
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.once(signal, () => {
      void stop().then(
        () => process.exit(code),
        (error: unknown) => {
          console.error(error);
          process.exit(code);
        },
      );
    });
  }
  try {
    process.env['AERIE_TEST_DATABASE_URL'] = process.env['TEST_DATABASE_URL'] || (await startDatabase(running));
    process.env['AERIE_TEST_REDIS_URL'] = process.env['TEST_REDIS_URL'] || (await startSharedRedis(running));
  } catch (error) {
    await stop();
    throw error;
  }
  return stop;
}

async function unwind(running: Stop[]): Promise<void> {
  const faults: unknown[] = [];
  for (let stop = running.pop(); stop; stop = running.pop()) {
    await stop().catch((error: unknown) => faults.push(error));
  }
  if (faults.length > 0) throw new AggregateError(faults, 'Services of the tests did not stop');
}

async function startDatabase(running: Stop[]): Promise<string> {
  const dataDir = await makeDataFolder();
  running.push(() => removeDataFolder(dataDir));
  const database = await startEmbeddedPostgres({ dataDir });
  running.push(() => database.stop());
  return database.connectionString;
}

async function startSharedRedis(running: Stop[]): Promise<string> {
  const redis = await startRedis();
  running.push(() => redis.stop());
  return redis.url;
}

/** A new folder that also the account that runs the database for root can walk through. */
export async function makeDataFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'aerie-test-'));
  if (process.getuid?.() === 0) await chmod(folder, 0o711);
  return folder;
}

/** Removes a data folder together with what it keeps in root's folder. */
export async function removeDataFolder(dataDir: string): Promise<void> {
  const location = (await readIfPresent(join(dataDir, 'postgres.location'))) ?? '';
  if (location.startsWith('/var/lib/aerie/')) await rm(location.trim(), { recursive: true, force: true });
  await rm(dataDir, { recursive: true, force: true });
}
