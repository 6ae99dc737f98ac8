import { Global, Module } from '@nestjs/common';
import { Config } from '../config/config.js';
import { Resources } from '../lifecycle/resources.js';
import { Egress } from './egress.js';

@Global()
@Module({
  providers: [
    {
      provide: Egress,
      inject: [Config, Resources],
      useFactory: (config: Config, resources: Resources) =>
        resources.start(
          'egress',
          () => new Egress(config.egress),
          (egress) => egress.close(),
        ),
    },
  ],
  exports: [Egress],
})
export class EgressModule {}
