import { execFile } from 'node:child_process';
import { platform } from 'node:os';
import { promisify } from 'node:util';
import { EmbeddedDatabaseError } from './embedded-database.error.js';
import { errorMessage, hasCode } from './errno.js';

const run = promisify(execFile);
const env = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
const NAME = 'postgres';

/** A user of the operating system. */
export interface Account {
  uid: number;
  gid: number;
}

export function currentUid(): number {
  const uid = process.getuid?.();
  if (uid === undefined) {
    throw new EmbeddedDatabaseError(
      'The embedded database needs Linux or macOS; set DATABASE_URL to use a PostgreSQL server of your own.',
    );
  }
  return uid;
}

async function numericId(flag: '-u' | '-g'): Promise<number | undefined> {
  try {
    const id = Number.parseInt((await run('id', [flag, NAME], { env })).stdout, 10);
    return Number.isInteger(id) ? id : undefined;
  } catch (error) {
    // `id` ends with 1 for a name it does not know; anything else is a fault of the machine.
    if (hasCode(error, 1)) return undefined;
    throw error;
  }
}

async function lookUp(): Promise<Account | undefined> {
  const [uid, gid] = [await numericId('-u'), await numericId('-g')];
  return uid === undefined || gid === undefined ? undefined : { uid, gid };
}

/** The system account that runs the server for root: PostgreSQL refuses to run as root. Created when missing. */
export async function postgresAccount(log: (line: string) => void): Promise<Account> {
  if (platform() !== 'linux') {
    throw new EmbeddedDatabaseError('The embedded database cannot run as root here; start as an ordinary user.');
  }
  const existing = await lookUp();
  if (existing) return existing;
  log(`Creating the system account "${NAME}": PostgreSQL does not run as root`);
  try {
    await run('groupadd', ['--system', '--force', NAME], { env });
    const home = ['--no-create-home', '--home-dir', '/nonexistent', '--shell', '/usr/sbin/nologin'];
    await run('useradd', ['--system', '--gid', NAME, ...home, NAME], { env });
  } catch (error) {
    throw new EmbeddedDatabaseError(
      `PostgreSQL does not run as root, and the account "${NAME}" could not be created (${errorMessage(error).trim()}); ` +
        'start as an ordinary user or set DATABASE_URL.',
    );
  }
  const created = await lookUp();
  if (!created) throw new EmbeddedDatabaseError(`The account "${NAME}" was created but cannot be looked up.`);
  return created;
}
