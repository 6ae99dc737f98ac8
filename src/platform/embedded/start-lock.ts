import { link, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { setTimeout as delay } from 'node:timers/promises';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { hasCode } from './errno.js';
import { randomId, readIfPresent } from './files.js';
import { identify, isRunning } from './process-identity.js';

const POLL_MS = 50;
const WAIT_MS = 180_000;

/**
 * Runs `work` while no other process that asks for the same lock file does. A holder that died is recognised by its pid
 * and start time.
 */
export async function withStartLock<T>(path: string, work: () => Promise<T>): Promise<T> {
  const ticket = await ownTicket();
  await acquire(path, ticket);
  try {
    return await work();
  } finally {
    if ((await readIfPresent(path)) === ticket) await rm(path, { force: true });
  }
}

async function ownTicket(): Promise<string> {
  const self = await identify(process.pid);
  return `${process.pid}\n${self?.startedAt ?? ''}\n${randomId()}\n`;
}

async function acquire(path: string, ticket: string): Promise<void> {
  const deadline = performance.now() + WAIT_MS;
  while (!(await place(path, ticket))) {
    const held = await readIfPresent(path);
    if (held === undefined) continue;
    const [pid = '', startedAt = ''] = held.split('\n');
    if (!(await isRunning({ pid: Number(pid), startedAt }))) {
      await clearStale(path, held);
    } else if (performance.now() > deadline) {
      throw new EmbeddedDatabaseError(`Process ${pid} has been starting this database for too long (${path}).`);
    } else {
      await delay(POLL_MS);
    }
  }
}

/** A link appears with its content, so nobody reads a half-written lock. */
async function place(path: string, content: string): Promise<boolean> {
  const own = `${path}.${randomId()}`;
  await writeFile(own, content, { flag: 'wx', mode: 0o600 });
  try {
    await link(own, path);
    return true;
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  } finally {
    await rm(own);
  }
}

/** Of several that see the same dead holder one moves its lock away; who moved a newer lock by mistake puts it back. */
async function clearStale(path: string, stale: string): Promise<void> {
  const aside = `${path}.${randomId()}`;
  try {
    await rename(path, aside);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return;
    throw error;
  }
  try {
    if ((await readFile(aside, 'utf8')) !== stale) await link(aside, path);
  } finally {
    await rm(aside);
  }
}
