import { randomBytes, randomUUID } from 'node:crypto';
import { chmod, link, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../config/config-error.js';
import { KeyRing } from './key-ring.js';
import { KEY_BYTES } from './seal.js';

export interface KeySettings {
  readonly encryption_keys?: readonly string[];
  readonly encryption_keys_file?: string;
  readonly data_dir: string;
}

/**
 * The ring of a deployment: from the environment, from the file that it names (a mounted secret, never written to), or from a key file
 * (mode 0600) in the data folder that is created on first use. Files hold keys in base64, parted by white space.
 */
export async function loadKeyRing(settings: KeySettings): Promise<KeyRing> {
  const { encryption_keys, encryption_keys_file, data_dir } = settings;
  if (encryption_keys) return ringOf(encryption_keys, 'AERIE_ENCRYPTION_KEYS');
  if (encryption_keys_file) return ringOf(await keysIn(encryption_keys_file), 'AERIE_ENCRYPTION_KEYS_FILE');
  return ringOf(await ownFile(data_dir), `AERIE_DATA_DIR: ${ownPath(data_dir)}`);
}

/** Whether the operator named keys, instead of leaving them to the data folder. */
export const namesKeys = ({ encryption_keys, encryption_keys_file }: KeySettings): boolean =>
  encryption_keys !== undefined || encryption_keys_file !== undefined;

function ringOf(encoded: readonly string[], source: string): KeyRing {
  const [first, ...rest] = encoded.map((text) => Buffer.from(text, 'base64'));
  if (!first || [first, ...rest].some((key) => key.length !== KEY_BYTES)) {
    throw new ConfigError(`${source}: does not hold 32-byte keys in base64, and nothing else`);
  }
  return new KeyRing([first, ...rest]);
}

async function keysIn(path: string): Promise<string[]> {
  try {
    return (await readFile(path, 'utf8')).split(/\s+/).filter(Boolean);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`AERIE_ENCRYPTION_KEYS_FILE: ${path} cannot be read (${code})`, { cause: error });
  }
}

const ownPath = (dataDir: string): string => join(dataDir, 'encryption.key');

async function ownFile(dataDir: string): Promise<string[]> {
  try {
    await mkdir(dataDir, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`AERIE_DATA_DIR: ${dataDir} cannot be used as a data folder (${code})`, { cause: error });
  }
  const path = ownPath(dataDir);
  if (await isThere(path)) await chmod(path, 0o600);
  else await makeKeyFile(path);
  return (await readFile(path, 'utf8')).split(/\s+/).filter(Boolean);
}

const isThere = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    (error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return false;
      throw error;
    },
  );

/** Never seen half written, also after a crash: it is linked to its place when it is complete. Of several processes one succeeds. */
async function makeKeyFile(path: string): Promise<void> {
  const draft = `${path}.${randomUUID()}`;
  try {
    await writeFile(draft, `${randomBytes(KEY_BYTES).toString('base64')}\n`, { flag: 'wx', mode: 0o600, flush: true });
    await link(draft, path).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { force: true });
  }
}
