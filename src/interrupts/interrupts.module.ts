import { Module } from '@nestjs/common';
import { Config } from '../platform/config/config.js';
import { Resources } from '../platform/lifecycle/resources.js';
import { openBus, RedisBus } from '../platform/redis/redis.module.js';
import { InterruptBackend, LocalInterruptBackend } from './interrupt-backend.js';
import { RedisInterruptBackend } from './redis-interrupt-backend.js';

@Module({
  providers: [
    {
      provide: InterruptBackend,
      inject: [Config, Resources, RedisBus],
      useFactory: async (config: Config, resources: Resources, bus: RedisBus): Promise<InterruptBackend> => {
        const { url, interrupt_url } = config.redis;
        if (!interrupt_url) return new LocalInterruptBackend();
        const connections =
          interrupt_url === url && bus.connections ? bus.connections : await openBus(resources, interrupt_url);
        return new RedisInterruptBackend(connections.pubsub);
      },
    },
  ],
  exports: [InterruptBackend],
})
export class InterruptsModule {}
