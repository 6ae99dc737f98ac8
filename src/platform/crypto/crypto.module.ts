import { Global, Module } from '@nestjs/common';
import { Config, ConfigError } from '../config/config.js';
import { Database } from '../database/database.js';
import { Vault } from './envelope.js';
import { type KeyRing, loadKeyRing } from './keyring.js';

/**
 * A process with another ring than its siblings would store secrets they cannot read, and fail on theirs: it does not start on a
 * database that holds secrets sealed with keys it lacks.
 */
async function checkKeys(database: Database, ring: KeyRing): Promise<void> {
  const [unknown] = await database.run<{ kid: string }>(
    'keys-unknown',
    "SELECT secrets->>'kid' AS kid FROM credentials WHERE secrets->>'kid' <> ALL($1::text[]) LIMIT 1",
    [ring.ids],
  );
  if (!unknown) return;
  throw new ConfigError(
    `AERIE_ENCRYPTION_KEYS: the database has secrets sealed with key ${unknown.kid}, which this process lacks`,
  );
}

@Global()
@Module({
  providers: [
    {
      provide: Vault,
      inject: [Config, Database],
      useFactory: async (config: Config, database: Database) => {
        const ring = await loadKeyRing(config);
        await checkKeys(database, ring);
        return new Vault(ring);
      },
    },
  ],
  exports: [Vault],
})
export class CryptoModule {}
