import { lstat, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { makeDirectory } from './files.js';

/** Where root keeps what the server's own account could not reach elsewhere. */
export const SHARED_ROOT = '/var/lib/aerie';

/** Hazard: root executes and writes below this folder, so nobody else may ever have been able to put anything there. */
export async function assertRootOwned(path: string): Promise<void> {
  const stats = await lstat(path);
  if (!stats.isDirectory() || stats.uid !== 0 || (stats.mode & 0o022) !== 0) {
    throw new EmbeddedDatabaseError(`${path} must be a folder that only root can write to; remove it and start again.`);
  }
}

export async function makeSharedRoot(): Promise<string> {
  await makeDirectory(SHARED_ROOT, 0o755);
  await assertRootOwned(SHARED_ROOT);
  return SHARED_ROOT;
}

export async function sharedFolders(): Promise<string[]> {
  return (await readdir(await makeSharedRoot())).map((name) => join(SHARED_ROOT, name));
}
