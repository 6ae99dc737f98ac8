import { createHash } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { lstatIfPresent, makeDirectory, randomId, readIfPresent, writeDurably } from './files.js';
import { assertRootOwned, makeSharedRoot, SHARED_ROOT, sharedFolders } from './shared-root.js';

const NAME = /^[0-9a-f]{12}-[0-9a-f]{12}$/;

function pointerOf(dataDir: string): string {
  return join(dataDir, 'postgres.location');
}

function ownerOf(location: string): string {
  return join(location, 'owner');
}

/** Root's folder outside the data folder, as `postgres.location` names it; undefined when there is no such file. */
export async function existingLocation(dataDir: string, log: (line: string) => void): Promise<string | undefined> {
  const location = (await readIfPresent(pointerOf(dataDir)))?.trim();
  if (location === undefined) return undefined;
  if (dirname(location) !== SHARED_ROOT || !NAME.test(basename(location))) {
    throw new EmbeddedDatabaseError(`${pointerOf(dataDir)} does not name a folder in ${SHARED_ROOT}.`);
  }
  await makeSharedRoot();
  if (await makeDirectory(location, 0o755)) log(`The data in ${location} is gone; starting with an empty database`);
  await assertRootOwned(location);
  await adopt(location, dataDir);
  return location;
}

/** A data folder may be moved; of a folder and its copy only the first may use the data. */
async function adopt(location: string, dataDir: string): Promise<void> {
  const owner = await readIfPresent(ownerOf(location));
  if (owner === dataDir) return;
  if (owner !== undefined && (await readIfPresent(pointerOf(owner)))?.trim() === location) {
    throw new EmbeddedDatabaseError(
      `${dataDir} is a copy of ${owner}, and both name the data in ${location}; ` +
        `remove ${pointerOf(dataDir)} and postgres.password beside it to start with an empty database.`,
    );
  }
  await writeDurably(ownerOf(location), dataDir, 0o644);
}

/** A new folder under a name never used before: what a deleted data folder left is not taken up again. */
export async function newLocation(dataDir: string, log: (line: string) => void): Promise<string> {
  const hash = createHash('sha256').update(dataDir).digest('hex').slice(0, 12);
  const location = join(await makeSharedRoot(), `${hash}-${randomId()}`);
  await makeDirectory(location, 0o755);
  await writeDurably(ownerOf(location), dataDir, 0o644);
  await writeDurably(pointerOf(dataDir), `${location}\n`, 0o644);
  log(`The account "postgres" cannot use ${dataDir}; the database is kept in ${location}`);
  return location;
}

/** Clusters that an earlier, deleted data folder of the same path left in root's folder. */
export async function abandonedClusters(dataDir: string, current: string): Promise<string[]> {
  if (!(await lstatIfPresent(SHARED_ROOT))) return [];
  const abandoned: string[] = [];
  for (const folder of await sharedFolders()) {
    if (folder === current || !NAME.test(basename(folder))) continue;
    if ((await readIfPresent(ownerOf(folder))) === dataDir) abandoned.push(join(folder, 'postgres'));
  }
  return abandoned;
}
