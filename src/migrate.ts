import { MIGRATIONS } from '../migrations/all.js';
import { ENTITIES } from './aerie.module.js';
import { loadConfig, loadEnvFile } from './platform/config/config.js';
import { migrate, openDatabase } from './platform/database/database.module.js';
import { startEmbeddedPostgres } from './platform/embedded/embedded-postgres.js';
import { describeStartError } from './start-error.js';

/** Brings the schema up to date and ends: `npm run migrate`. */
async function main(): Promise<void> {
  loadEnvFile();
  const config = loadConfig();
  const embedded = config.database.url ? undefined : await startEmbeddedPostgres({ dataDir: config.data_dir });
  try {
    const url = config.database.url ?? embedded?.connectionString ?? '';
    const database = await openDatabase({
      url,
      pool: 2,
      application_name: 'aerie migrate',
      entities: ENTITIES,
      migrations: MIGRATIONS,
    });
    try {
      await migrate(database, url);
      console.error('The schema is up to date.');
    } finally {
      await database.close();
    }
  } finally {
    // One that was running before belongs to the service that runs it.
    if (embedded && !embedded.reused) await embedded.stop();
  }
}

main().catch((error: unknown) => {
  console.error(`The migration failed: ${describeStartError(error)}`);
  process.exit(1);
});
