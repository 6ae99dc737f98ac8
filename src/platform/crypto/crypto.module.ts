import { Global, Module } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Vault } from './envelope.js';
import { loadKeyRing } from './keyring.js';

@Global()
@Module({
  providers: [
    {
      provide: Vault,
      inject: [Config],
      useFactory: async (config: Config) => new Vault(await loadKeyRing(config)),
    },
  ],
  exports: [Vault],
})
export class CryptoModule {}
