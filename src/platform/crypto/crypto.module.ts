import { type DynamicModule, Global, Module } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { Resources } from '../lifecycle/resources.js';
import { KeyChain } from './key-chain.js';
import { KeyProvider } from './key-provider.js';
import { type KeySettings, loadKeyRing, namesKeys } from './key-sources.js';
import { TenantKeyPgStore } from './tenant-key.pg-store.js';
import { TenantKeyStore } from './tenant-key.store.js';
import { TimedKeys } from './timed-keys.js';
import { Vault } from './vault.js';

/** A provider given by the host wraps; keys that the environment names as well still unwrap what they wrapped before. */
export async function keyProvider(settings: KeySettings, given?: KeyProvider): Promise<KeyProvider> {
  if (!given) return loadKeyRing(settings);
  const timed = new TimedKeys(given);
  return namesKeys(settings) ? new KeyChain(timed, [await loadKeyRing(settings)]) : timed;
}

@Global()
@Module({})
export class CryptoModule {
  static forRoot(given?: KeyProvider): DynamicModule {
    return {
      module: CryptoModule,
      providers: [
        { provide: KeyProvider, inject: [Config], useFactory: (config: Config) => keyProvider(config, given) },
        {
          provide: TenantKeyStore,
          inject: [Database],
          useFactory: (database: Database) => new TenantKeyPgStore(database),
        },
        {
          provide: Vault,
          inject: [KeyProvider, TenantKeyStore, Resources],
          useFactory: (provider: KeyProvider, store: TenantKeyStore, resources: Resources) =>
            resources.start(
              'vault',
              () => new Vault(provider, store),
              (vault) => vault.close(),
            ),
        },
      ],
      exports: [KeyProvider, TenantKeyStore, Vault],
    };
  }
}
