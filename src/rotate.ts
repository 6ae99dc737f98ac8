import { MIGRATIONS } from '../migrations/all.js';
import { ENTITIES } from './aerie.module.js';
import { CredentialTypeormStore } from './credentials/credential.typeorm-store.js';
import { KeyRotation, type MasterKeyUse } from './credentials/key-rotation.service.js';
import { Config, loadConfig, loadEnvFile } from './platform/config/config.js';
import { keyProvider } from './platform/crypto/crypto.module.js';
import { TenantKeyPgStore } from './platform/crypto/tenant-key.pg-store.js';
import { Vault } from './platform/crypto/vault.js';
import type { Database } from './platform/database/database.js';
import { migrate, openDatabase } from './platform/database/database.module.js';
import { startEmbeddedPostgres } from './platform/embedded/embedded-postgres.js';
import { describeStartError } from './start-error.js';

/** What the exit code says beside 0: something could not be read, or (`--check`) a key that is not the first is still in use. */
const UNREADABLE = 1;
const OLD_KEY_IN_USE = 2;

/** Moves stored secrets to the first master key, while the service works: `npm run credentials:rotate`; `-- --check` only looks. */
async function main(args: readonly string[]): Promise<number> {
  const unknown = args.find((arg) => arg !== '--check');
  if (unknown !== undefined) {
    console.error(`unknown argument ${unknown}; the only one is --check`);
    return UNREADABLE;
  }
  loadEnvFile();
  const config = loadConfig();
  return withDatabase(config, async (database) => {
    const provider = await keyProvider(config);
    const keys = new TenantKeyPgStore(database);
    const vault = new Vault(provider, keys);
    const rotation = new KeyRotation(provider, keys, vault, new CredentialTypeormStore(database));
    try {
      return args.includes('--check') ? check(await rotation.uses()) : await rotate(rotation);
    } finally {
      vault.close();
    }
  });
}

async function rotate(rotation: KeyRotation): Promise<number> {
  const result = await rotation.rotate(({ rewrapped, resealed, unreadable }) =>
    console.error(`${rewrapped} data keys wrapped anew, ${resealed} secrets sealed anew, ${unreadable} unreadable …`),
  );
  for (const { kind, tenant_id, id, reason } of result.faults) {
    console.error(`unreadable ${kind} ${id} of tenant ${JSON.stringify(tenant_id)}: ${reason}`);
  }
  console.log(`data keys wrapped anew: ${result.rewrapped}`);
  console.log(`secrets sealed anew: ${result.resealed}`);
  console.log(`unreadable: ${result.unreadable}`);
  const code = check(result.uses);
  return result.unreadable > 0 ? UNREADABLE : code;
}

function check(uses: readonly MasterKeyUse[]): number {
  for (const { kid, data_keys, secrets, is_active, is_held } of uses) {
    const state = is_active ? 'first key' : is_held ? 'old key, still in use' : 'not in the ring';
    console.log(`key ${kid}: ${data_keys} data keys, ${secrets} secrets (${state})`);
  }
  if (uses.some((use) => !use.is_active || use.secrets > 0)) return OLD_KEY_IN_USE;
  console.log('Everything depends on the first key alone: the others may be removed.');
  return 0;
}

async function withDatabase<T>(config: Config, work: (database: Database) => Promise<T>): Promise<T> {
  const embedded = config.database.url ? undefined : await startEmbeddedPostgres({ dataDir: config.data_dir });
  try {
    const url = config.database.url ?? embedded?.connectionString ?? '';
    const name = 'aerie credentials rotate';
    const database = await openDatabase({
      url,
      pool: 2,
      application_name: name,
      entities: ENTITIES,
      migrations: MIGRATIONS,
    });
    try {
      await migrate(database, url);
      return await work(database);
    } finally {
      await database.close();
    }
  } finally {
    // One that was running before belongs to the service that runs it.
    if (embedded && !embedded.reused) await embedded.stop();
  }
}

main(process.argv.slice(2)).then(
  (code) => (process.exitCode = code),
  (error: unknown) => {
    console.error(`The rotation failed: ${describeStartError(error)}`);
    process.exit(1);
  },
);
