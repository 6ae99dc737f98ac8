import { realpath, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import type { Stats } from 'node:fs';
import type { Account } from './account.js';

export const READ = 4;
export const EXECUTE = 1;

function grants(stats: Stats, account: Account, need: number): boolean {
  if (stats.uid === account.uid) return ((stats.mode >> 6) & need) === need;
  if (stats.gid === account.gid) return ((stats.mode >> 3) & need) === need;
  return (stats.mode & need) === need;
}

/** Whether the mode bits let the account walk to this path and use it as `need` says. */
export async function canReach(path: string, account: Account, need: number): Promise<boolean> {
  const target = await realpath(path);
  if (!grants(await stat(target), account, need)) return false;
  for (let folder = dirname(target), below = target; folder !== below; below = folder, folder = dirname(folder)) {
    if (!grants(await stat(folder), account, EXECUTE)) return false;
  }
  return true;
}
