import { createHash } from 'node:crypto';
import { chmod, lstat, mkdir, realpath } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, currentUid, postgresAccount } from './account.js';
import { type Binaries, binariesFor, packagedBinaries } from './binaries.js';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { errorMessage } from './errno.js';
import { lstatIfPresent, makeDirectory } from './files.js';
import { existingLocation, newLocation } from './location.js';
import { canReach, EXECUTE } from './reachability.js';

/** Where one cluster lives and who runs it. */
export interface Site {
  /** Undefined: this process's own user. */
  account: Account | undefined;
  /** Holds the cluster's folder and, while it is being made, its draft. */
  parent: string;
  dataDirectory: string;
  socketDirectory: string;
  binaries: Binaries;
}

const PORT = 5432;
// sockaddr_un holds 104 bytes on macOS and 108 on Linux, with the terminating zero.
const SOCKET_PATH_BYTES = 103;

export function socketPath(directory: string): string {
  return join(directory, `.s.PGSQL.${PORT}`);
}

function fits(directory: string): boolean {
  return Buffer.byteLength(socketPath(directory)) <= SOCKET_PATH_BYTES;
}

/** Makes the data folder when it is missing and gives its real path. */
export async function claimDataFolder(dataDir: string): Promise<string> {
  const uid = currentUid();
  try {
    // As root the server's account has to walk through; the files inside have modes of their own.
    const mode = uid === 0 ? 0o711 : 0o700;
    if (await mkdir(dataDir, { recursive: true, mode })) await chmod(dataDir, mode);
  } catch (error) {
    throw new EmbeddedDatabaseError(`The data folder ${dataDir} cannot be made: ${errorMessage(error)}`);
  }
  const folder = await realpath(dataDir);
  const stats = await lstat(folder);
  if (!stats.isDirectory()) throw new EmbeddedDatabaseError(`The data folder ${dataDir} is not a folder.`);
  if (uid !== 0) assertOwner(folder, stats.uid, uid);
  return folder;
}

function assertOwner(path: string, owner: number, expected: number): void {
  if (owner === expected) return;
  throw new EmbeddedDatabaseError(
    `The data folder ${path} belongs to another user (uid ${owner}, the server runs as uid ${expected}); ` +
      'start as that user or choose another folder with AERIE_DATA_DIR.',
  );
}

export async function chooseSite(dataDir: string, log: (line: string) => void): Promise<Site> {
  const uid = currentUid();
  const site = uid === 0 ? await rootSite(dataDir, log) : await ownSite(dataDir, uid);
  const data = await lstatIfPresent(site.dataDirectory);
  if (data) assertOwner(site.dataDirectory, data.uid, site.account?.uid ?? uid);
  return site;
}

async function ownSite(dataDir: string, uid: number): Promise<Site> {
  const run = join(dataDir, 'run');
  const socketDirectory = fits(run) ? run : await shortFolder(dataDir, uid);
  await makePrivate(socketDirectory, uid);
  return { account: undefined, ...inside(dataDir), socketDirectory, binaries: await packagedBinaries() };
}

async function rootSite(dataDir: string, log: (line: string) => void): Promise<Site> {
  const account = await postgresAccount(log);
  const binaries = await binariesFor(account);
  const parent = (await existingLocation(dataDir, log)) ?? (await freshParent(dataDir, account, log));
  const socketDirectory = join(parent, 'run');
  await makePrivate(socketDirectory, account.uid, account);
  return { account, ...inside(parent), socketDirectory, binaries };
}

async function freshParent(dataDir: string, account: Account, log: (line: string) => void): Promise<string> {
  const reachable = await canReach(dataDir, account, EXECUTE);
  if (reachable && fits(join(dataDir, 'run'))) return dataDir;
  const { dataDirectory } = inside(dataDir);
  if (!(await lstatIfPresent(dataDirectory))) return newLocation(dataDir, log);
  throw new EmbeddedDatabaseError(
    `The account "postgres" can no longer reach its data in ${dataDirectory}: ` +
      'let others walk through the folders above it (chmod o+x), or move the data folder back.',
  );
}

function inside(parent: string): { parent: string; dataDirectory: string } {
  return { parent, dataDirectory: join(parent, 'postgres') };
}

async function shortFolder(dataDir: string, uid: number): Promise<string> {
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const session = `/run/user/${uid}`;
  const stats = await lstatIfPresent(session);
  if (stats?.isDirectory() && stats.uid === uid) return join(session, `aerie-${hash}`);
  const candidates = [tmpdir(), '/tmp'].map((folder) => join(folder, `aerie-${uid}-${hash}`));
  return candidates.find(fits) ?? join('/tmp', `aerie-${uid}-${hash}`);
}

/** Hazard: in a shared temporary folder somebody else may have put a folder or a link of this name there first. */
async function makePrivate(path: string, uid: number, account?: Account): Promise<void> {
  if (await makeDirectory(path, 0o700, account)) return;
  const stats = await lstat(path);
  if (!stats.isDirectory() || stats.uid !== uid) {
    throw new EmbeddedDatabaseError(`${path} must be a folder of uid ${uid}; remove it and start again.`);
  }
  if ((stats.mode & 0o077) !== 0) await chmod(path, 0o700);
}
