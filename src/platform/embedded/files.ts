import { randomBytes } from 'node:crypto';
import { chmod, chown, lstat, mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import type { Stats } from 'node:fs';
import { dirname } from 'node:path';
import type { Account } from './account.js';
import { hasCode } from './errno.js';

export function randomId(): string {
  return randomBytes(6).toString('hex');
}

export async function readIfPresent(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

/** Does not follow a link in the last component. */
export async function lstatIfPresent(path: string): Promise<Stats | undefined> {
  try {
    return await lstat(path);
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined;
    throw error;
  }
}

export async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The file is there whole and durable, or not at all. */
export async function writeDurably(path: string, content: string, mode: number): Promise<void> {
  const temporary = `${path}.${randomId()}`;
  try {
    const handle = await open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
  await syncDirectory(dirname(path));
}

/** Makes a folder of exactly this mode that belongs to the account; an existing one is left as it is. */
export async function makeDirectory(path: string, mode: number, account?: Account): Promise<boolean> {
  try {
    await mkdir(path, { mode });
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false;
    throw error;
  }
  await chmod(path, mode);
  if (account) await chown(path, account.uid, account.gid);
  return true;
}
