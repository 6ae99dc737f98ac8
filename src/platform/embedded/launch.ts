import { type ChildProcess, spawn } from 'node:child_process';
import { open, rename, stat } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { SERVER_ENVIRONMENT } from './cluster.js';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { errorMessage } from './errno.js';
import { lstatIfPresent } from './files.js';
import { readPidFile, releaseDeadLocks, stopPostmaster } from './postmaster.js';
import { identify, type ProcessIdentity } from './process-identity.js';
import { type Site, socketPath } from './site.js';

const LOG_BYTES = 10 * 1024 * 1024;
const POLL_MS = 20;
const RECOVERY_MS = 120_000;
const SHARED_MEMORY_MS = 15_000;
const STILL_IN_USE = /pre-existing shared memory block .* is still in use/;

/** Starts the server in a session of its own, so that a terminal's Ctrl-C passes it by, and waits until it is ready. */
export async function launch(site: Site, logFile: string): Promise<ProcessIdentity> {
  const deadline = performance.now() + SHARED_MEMORY_MS;
  await rotate(logFile);
  for (;;) {
    await releaseDeadLocks(site.dataDirectory, `${socketPath(site.socketDirectory)}.lock`);
    const started = await attempt(site, logFile);
    if ('identity' in started) return started.identity;
    // Backends of a killed server take a moment to notice its death.
    if (!STILL_IN_USE.test(started.output) || performance.now() > deadline) throw failure(started.output, logFile);
    await delay(10 * POLL_MS);
  }
}

type Attempt = { identity: ProcessIdentity } | { output: string };

async function attempt(site: Site, logFile: string): Promise<Attempt> {
  const log = await open(logFile, 'a', 0o600);
  const from = (await log.stat()).size;
  let child: ChildProcess;
  try {
    child = spawn(site.binaries.postgres, serverArguments(site), {
      cwd: '/',
      env: SERVER_ENVIRONMENT,
      stdio: ['ignore', log.fd, log.fd],
      detached: true,
      ...site.account,
    });
    await spawned(child, site.binaries.postgres);
  } finally {
    await log.close();
  }
  child.unref();
  const identity = child.pid === undefined ? undefined : await identify(child.pid);
  if (!identity || !(await becomesReady(child, site.dataDirectory))) {
    return { output: await readFrom(logFile, from) };
  }
  return { identity };
}

function serverArguments(site: Site): string[] {
  const settings = {
    listen_addresses: '',
    port: '5432',
    unix_socket_directories: `"${site.socketDirectory.replaceAll('"', '""')}"`,
    unix_socket_permissions: '0700',
    logging_collector: 'off',
    fsync: 'on',
  };
  return ['-D', site.dataDirectory, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])];
}

function spawned(child: ChildProcess, binary: string): Promise<void> {
  return new Promise((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (error) =>
      reject(new EmbeddedDatabaseError(`PostgreSQL cannot be run: ${errorMessage(error)} (${binary})`)),
    );
  });
}

/** False when it ended before it was ready. */
async function becomesReady(child: ChildProcess, dataDirectory: string): Promise<boolean> {
  const deadline = performance.now() + RECOVERY_MS;
  while (child.exitCode === null && child.signalCode === null) {
    const file = await readPidFile(dataDirectory);
    if (file?.pid === child.pid && file?.status === 'ready') return true;
    if (performance.now() > deadline) {
      const identity = child.pid === undefined ? undefined : await identify(child.pid);
      if (identity) await stopPostmaster(identity);
      throw new EmbeddedDatabaseError(`PostgreSQL was not ready after ${RECOVERY_MS / 1000} s (${dataDirectory}).`);
    }
    await delay(POLL_MS);
  }
  return false;
}

async function rotate(logFile: string): Promise<void> {
  const stats = await lstatIfPresent(logFile);
  if (stats && stats.size > LOG_BYTES) await rename(logFile, `${logFile}.1`);
}

async function readFrom(path: string, offset: number): Promise<string> {
  const { size } = await stat(path);
  const handle = await open(path, 'r');
  try {
    const buffer = Buffer.alloc(Math.min(size - offset, 8192));
    await handle.read(buffer, 0, buffer.length, size - buffer.length);
    return buffer.toString('utf8');
  } finally {
    await handle.close();
  }
}

function failure(output: string, logFile: string): EmbeddedDatabaseError {
  const lines = output.split('\n').filter((line) => line.trim() !== '');
  const fatal = lines.find((line) => /\b(FATAL|PANIC):/.test(line)) ?? lines.at(-1);
  const reason = fatal?.replace(/^.*\b(?:FATAL|PANIC):\s*/, '') ?? 'no output';
  return new EmbeddedDatabaseError(`PostgreSQL did not start: ${reason} (see ${logFile})`);
}
