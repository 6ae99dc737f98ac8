import { type DynamicModule, Logger, Module } from '@nestjs/common';
import { Config } from '../platform/config/config.js';
import { Resources } from '../platform/lifecycle/resources.js';
import { openBus, RedisBus } from '../platform/redis/redis.module.js';
import { InterruptBackend, LocalInterruptBackend } from './interrupt-backend.js';
import { RedisInterruptBackend } from './redis-interrupt-backend.js';

/** Global: whoever deletes a session stops what works on it. */
@Module({})
export class InterruptsModule {
  static forRoot(custom: InterruptBackend | undefined): DynamicModule {
    return {
      module: InterruptsModule,
      global: true,
      providers: [
        custom
          ? { provide: InterruptBackend, useValue: custom }
          : { provide: InterruptBackend, inject: [Config, Resources, RedisBus], useFactory: fromConfig },
      ],
      exports: [InterruptBackend],
    };
  }
}

async function fromConfig(config: Config, resources: Resources, bus: RedisBus): Promise<InterruptBackend> {
  const { url, interrupt_url } = config.redis;
  if (!interrupt_url) return new LocalInterruptBackend();
  const shared = interrupt_url === url ? bus.connections : undefined;
  const { pubsub } = shared ?? (await openBus(resources, interrupt_url));
  const logger = new Logger('Interrupts');
  return new RedisInterruptBackend(pubsub, () => logger.warn('Something else was published on the interrupt channel'));
}
