import { open, readlink, stat } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { platform } from 'node:os';
import { basename, join } from 'node:path';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { hasCode } from './errno.js';
import { readIfPresent } from './files.js';
import { identify, isRunning, type ProcessIdentity, psColumns, sendSignal, waitForExit } from './process-identity.js';

const PATIENCE_MS = 10_000;

/** What `postmaster.pid` says of the server of a data folder. */
export interface PidFile {
  pid: number;
  socketDirectory: string;
  status: string;
}

export async function readPidFile(dataDirectory: string): Promise<PidFile | undefined> {
  const text = await readIfPresent(join(dataDirectory, 'postmaster.pid'));
  const lines = text?.split('\n') ?? [];
  const pid = Number(lines[0]);
  if (!Number.isInteger(pid) || pid <= 0) return undefined;
  return { pid, socketDirectory: lines[4] ?? '', status: (lines[7] ?? '').trim() };
}

/** The server that runs on this data folder now, whoever started it. */
export async function findPostmaster(dataDirectory: string): Promise<ProcessIdentity | undefined> {
  const file = await readPidFile(dataDirectory);
  if (!file) return undefined;
  const identity = await identify(file.pid);
  return identity && (await servesFolder(file.pid, dataDirectory)) ? identity : undefined;
}

async function servesFolder(pid: number, dataDirectory: string): Promise<boolean> {
  if (platform() !== 'linux') {
    const command = (await psColumns(pid, 'command=')) ?? '';
    return command.includes('postgres') && command.includes(dataDirectory);
  }
  try {
    // A server works in its data folder; "(deleted)" follows the name when the packages were installed anew.
    if (!/^postgres\b/.test(basename(await readlink(`/proc/${pid}/exe`)))) return false;
    const [cwd, data]: [Stats, Stats] = [await stat(`/proc/${pid}/cwd`), await stat(dataDirectory)];
    return cwd.dev === data.dev && cwd.ino === data.ino;
  } catch (error) {
    // Another user's process, or one that has just gone: not the server of our folder.
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return false;
    throw error;
  }
}

/**
 * Hazard: PostgreSQL refuses to start while its lock files name a pid that its own user could signal, be it a zombie or
 * another program that was given the pid. It takes a lock that names its parent for stale and still checks the shared
 * memory of the dead server, so ours is the pid to put there. Only for a folder that `findPostmaster` found no server on.
 */
export async function releaseDeadLocks(dataDirectory: string, socketLock: string): Promise<void> {
  for (const path of [join(dataDirectory, 'postmaster.pid'), socketLock]) {
    const text = await readIfPresent(path);
    if (!text || !/^\d+\n/.test(text)) continue;
    const content = Buffer.from(text.replace(/^\d+/, String(process.pid)));
    const handle = await open(path, 'r+');
    try {
      await handle.write(content, 0, content.length, 0);
      await handle.truncate(content.length);
    } finally {
      await handle.close();
    }
  }
}

/** Fast shutdown, then an immediate one; the write-ahead log makes either safe. */
export async function stopPostmaster(server: ProcessIdentity): Promise<void> {
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (!(await isRunning(server))) return;
    sendSignal(server.pid, signal);
    // A suspended process takes the signal only once it goes on.
    sendSignal(server.pid, 'SIGCONT');
    if (await waitForExit(server, PATIENCE_MS)) return;
  }
  throw new EmbeddedDatabaseError(`The database server (process ${server.pid}) does not stop.`);
}
