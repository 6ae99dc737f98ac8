import { realpath } from 'node:fs/promises';
import { isAbsolute, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { prepareCluster } from './cluster.js';
import { ask, connectionString } from './connection.js';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { errorMessage, hasCode } from './errno.js';
import { lstatIfPresent } from './files.js';
import { launch } from './launch.js';
import { abandonedClusters } from './location.js';
import { findPostmaster, readPidFile, stopPostmaster } from './postmaster.js';
import { isRunning, type ProcessIdentity, waitForExit } from './process-identity.js';
import { chooseSite, claimDataFolder, type Site, socketPath } from './site.js';
import { withStartLock } from './start-lock.js';

export interface EmbeddedPostgresOptions {
  /** Absolute; made when missing. */
  dataDir: string;
  log?: (line: string) => void;
}

export interface EmbeddedPostgres {
  /** For node-postgres: the server listens on a unix socket only. */
  connectionString: string;
  /** Whether the server was running already. */
  reused: boolean;
  /** Stops the server, also one that another process started; resolves when it has gone. */
  stop(): Promise<void>;
}

const POLL_MS = 50;
const STARTING_MS = 120_000;
const STOPPING_MS = 30_000;

/** Starts the PostgreSQL server of a data folder, or takes over the one that still runs on it. */
export async function startEmbeddedPostgres(options: EmbeddedPostgresOptions): Promise<EmbeddedPostgres> {
  const log = options.log ?? (() => undefined);
  if (!isAbsolute(options.dataDir)) throw new EmbeddedDatabaseError('The data folder must be an absolute path.');
  const dataDir = await claimDataFolder(options.dataDir);
  try {
    return await withStartLock(join(dataDir, 'postgres.lock'), () => start(dataDir, log));
  } catch (error) {
    if (!hasCode(error, 'EACCES', 'EPERM', 'EROFS', 'ENOSPC')) throw error;
    throw new EmbeddedDatabaseError(`The data folder ${dataDir} cannot be used: ${errorMessage(error)}`);
  }
}

async function start(dataDir: string, log: (line: string) => void): Promise<EmbeddedPostgres> {
  const site = await chooseSite(dataDir, log);
  if (site.account) await stopAbandoned(dataDir, site.parent, log);
  const password = await prepareCluster(dataDir, site, log);
  const running = await takeOver(site, password, log);
  if (running) return handle(running.server, running.socketDirectory, password, true);

  await assertNoHiddenServer(site, password);
  log(`Starting PostgreSQL ${site.binaries.version} on ${site.dataDirectory}`);
  const server = await launch(site, join(dataDir, 'postgres.log'));
  try {
    const answer = await ask(site.socketDirectory, password);
    if (answer.state !== 'ready') throw new EmbeddedDatabaseError('PostgreSQL started but does not answer.');
  } catch (error) {
    await stopPostmaster(server);
    throw error;
  }
  return handle(server, site.socketDirectory, password, false);
}

function handle(server: ProcessIdentity, socketDirectory: string, password: string, reused: boolean): EmbeddedPostgres {
  let stopped: Promise<void> | undefined;
  return {
    connectionString: connectionString(socketDirectory, password),
    reused,
    stop: () => (stopped ??= stopPostmaster(server)),
  };
}

/** The running server of this folder when it answers; one that does not is stopped. */
async function takeOver(
  site: Site,
  password: string,
  log: (line: string) => void,
): Promise<{ server: ProcessIdentity; socketDirectory: string } | undefined> {
  const server = await findPostmaster(site.dataDirectory);
  if (!server) return undefined;
  const deadline = performance.now() + STARTING_MS;
  while (await isRunning(server)) {
    const file = await readPidFile(site.dataDirectory);
    if (file?.status === 'stopping' && (await waitForExit(server, STOPPING_MS))) return undefined;
    if (file?.status !== 'starting') {
      // It may have been started with another socket folder than this process would choose.
      const socketDirectory = file?.socketDirectory || site.socketDirectory;
      const answer = await ask(socketDirectory, password);
      if (answer.state === 'ready' && (await isSameFolder(answer.dataDirectory, site.dataDirectory))) {
        log(`Re-using the PostgreSQL server that runs on ${site.dataDirectory} (process ${server.pid})`);
        return { server, socketDirectory };
      }
      if (answer.state !== 'busy') break;
    }
    if (performance.now() > deadline) break;
    await delay(POLL_MS);
  }
  if (!(await isRunning(server))) return undefined;
  log(`The PostgreSQL server on ${site.dataDirectory} (process ${server.pid}) does not answer; stopping it`);
  await stopPostmaster(server);
  return undefined;
}

async function isSameFolder(shown: string, expected: string): Promise<boolean> {
  try {
    return (await realpath(shown)) === (await realpath(expected));
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return false;
    throw error;
  }
}

/** Hazard: on a volume shared by containers the pid of the other container's server means nothing here. */
async function assertNoHiddenServer(site: Site, password: string): Promise<void> {
  if (!(await lstatIfPresent(socketPath(site.socketDirectory)))) return;
  if ((await ask(site.socketDirectory, password)).state === 'silent') return;
  throw new EmbeddedDatabaseError(
    `Another container or host runs a database server on ${site.dataDirectory}; stop that one first.`,
  );
}

async function stopAbandoned(dataDir: string, current: string, log: (line: string) => void): Promise<void> {
  for (const cluster of await abandonedClusters(dataDir, current)) {
    const server = await findPostmaster(cluster);
    if (!server) continue;
    log(`Stopping the PostgreSQL server that a deleted data folder left behind (process ${server.pid})`);
    await stopPostmaster(server);
  }
}
