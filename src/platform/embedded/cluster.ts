import { spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chown, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { errorMessage } from './errno.js';
import { makeDirectory, randomId, readIfPresent, syncDirectory, writeDurably } from './files.js';
import type { Site } from './site.js';

export const DATABASE_USER = 'aerie';
const DRAFT = 'postgres.init-';

/** What the server and initdb get of the environment: nothing of the service's, which may hold secrets. */
export const SERVER_ENVIRONMENT = { PATH: '/usr/bin:/bin', LC_ALL: 'C' };

/** Makes the cluster when there is none yet; gives the password of its only user. */
export async function prepareCluster(dataDir: string, site: Site, log: (line: string) => void): Promise<string> {
  const passwordFile = join(dataDir, 'postgres.password');
  const known = (await readIfPresent(passwordFile))?.trim();
  const version = (await readIfPresent(join(site.dataDirectory, 'PG_VERSION')))?.trim();
  if (version === undefined) {
    const password = known || randomBytes(24).toString('base64url');
    if (!known) await writeDurably(passwordFile, `${password}\n`, 0o600);
    log(`Creating a PostgreSQL ${site.binaries.major} cluster in ${site.dataDirectory}`);
    await initialise(site, password);
    return password;
  }
  if (version !== site.binaries.major) {
    throw new EmbeddedDatabaseError(
      `The data in ${site.dataDirectory} is of PostgreSQL ${version}, the embedded server is ${site.binaries.major}; ` +
        'dump it with the old release and load it into a new data folder, or set DATABASE_URL.',
    );
  }
  if (!known) {
    throw new EmbeddedDatabaseError(
      `${passwordFile} is missing, so nobody can log in to the data in ${site.dataDirectory}; put the file back.`,
    );
  }
  return known;
}

/** Invariant: the cluster gets its name only when it is complete; a draft is what a crash left and is made again. */
async function initialise(site: Site, password: string): Promise<void> {
  for (const name of await readdir(site.parent)) {
    if (name.startsWith(DRAFT)) await remove(join(site.parent, name));
  }
  const draft = join(site.parent, `${DRAFT}${randomId()}`);
  const passwordFile = `${draft}.password`;
  await makeDirectory(draft, 0o700, site.account);
  try {
    await writeFile(passwordFile, password, { mode: 0o600, flag: 'wx' });
    if (site.account) await chown(passwordFile, site.account.uid, site.account.gid);
    await runInitdb(site, draft, passwordFile);
    await rename(draft, site.dataDirectory);
    await syncDirectory(site.parent);
  } catch (error) {
    await remove(draft);
    throw error;
  } finally {
    await rm(passwordFile, { force: true });
  }
}

/** An initdb that outlived its parent may still be writing there. */
async function remove(path: string): Promise<void> {
  await rm(path, { recursive: true, force: true, maxRetries: 10, retryDelay: 100 });
}

async function runInitdb(site: Site, target: string, passwordFile: string): Promise<void> {
  const child = spawn(
    site.binaries.initdb,
    [
      `--pgdata=${target}`,
      `--username=${DATABASE_USER}`,
      `--pwfile=${passwordFile}`,
      '--auth=scram-sha-256',
      '--encoding=UTF8',
      '--locale=C',
      '--locale-provider=builtin',
      '--builtin-locale=C.UTF-8',
      '--set=max_connections=100',
      '--set=shared_buffers=128MB',
      '--set=timezone=UTC',
      '--set=log_timezone=UTC',
      '--set=log_checkpoints=off',
    ],
    { cwd: '/', env: SERVER_ENVIRONMENT, stdio: ['ignore', 'ignore', 'pipe'], ...site.account },
  );
  let faults = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    faults = (faults + chunk).slice(-4096);
  });
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', (error) =>
      reject(new EmbeddedDatabaseError(`initdb cannot be run: ${errorMessage(error)} (${site.binaries.initdb})`)),
    );
    child.once('close', resolve);
  });
  if (code !== 0) throw new EmbeddedDatabaseError(`initdb failed: ${faults.trim() || `exit code ${code}`}`);
}
