import { createHash, randomBytes } from 'node:crypto';
import { chmod, mkdir, open, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ConfigError } from '../config/config.js';

export interface MasterKey {
  /** First 16 hex digits of the SHA-256 of the key: names the key in rows without telling it. */
  readonly id: string;
  readonly key: Buffer;
}

/** The master keys of this deployment. The first one wraps, all of them unwrap. */
export class KeyRing {
  private readonly byId: ReadonlyMap<string, MasterKey>;
  readonly active: MasterKey;

  constructor(keys: readonly Buffer[]) {
    const masters = keys.map((key) => ({ id: createHash('sha256').update(key).digest('hex').slice(0, 16), key }));
    const [active] = masters;
    if (!active) throw new ConfigError('AERIE_ENCRYPTION_KEYS: needs at least one key');
    this.active = active;
    this.byId = new Map(masters.map((master) => [master.id, master]));
  }

  get(id: string): MasterKey | undefined {
    return this.byId.get(id);
  }

  get ids(): string[] {
    return [...this.byId.keys()];
  }
}

/** The ring from configuration, or from a key file (mode 0600) in the data folder that is created on first use. */
export async function loadKeyRing(config: { encryption_keys?: string[]; data_dir: string }): Promise<KeyRing> {
  const encoded = config.encryption_keys ?? (await keyFile(config.data_dir));
  return new KeyRing(encoded.map((text) => Buffer.from(text, 'base64')));
}

async function keyFile(dataDir: string): Promise<string[]> {
  try {
    await mkdir(dataDir, { recursive: true });
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw new ConfigError(`AERIE_DATA_DIR: ${dataDir} cannot be used as a data folder (${code})`, { cause: error });
  }
  const path = join(dataDir, 'encryption.key');
  try {
    const file = await open(path, 'wx', 0o600);
    try {
      await file.writeFile(`${randomBytes(32).toString('base64')}\n`);
      await file.sync();
    } finally {
      await file.close();
    }
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    await chmod(path, 0o600);
  }
  const keys = (await readFile(path, 'utf8')).split(/\s+/).filter(Boolean);
  if (keys.length === 0 || keys.some((key) => Buffer.from(key, 'base64').length !== 32)) {
    throw new ConfigError(`AERIE_DATA_DIR: ${path} does not hold 32-byte keys in base64; restore it from a backup`);
  }
  return keys;
}
