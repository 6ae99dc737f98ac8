import { Global, Module } from '@nestjs/common';
import { Config } from '../platform/config/config.js';
import { RedisBus } from '../platform/redis/redis.module.js';
import { EventLog } from './event-log.js';
import { LocalEventLog } from './local-event-log.js';
import { RedisEventLog } from './redis-event-log.js';

@Global()
@Module({
  providers: [
    {
      provide: EventLog,
      inject: [Config, RedisBus],
      useFactory: (config: Config, bus: RedisBus): EventLog =>
        bus.connections
          ? new RedisEventLog(bus.connections.commands, bus.connections.pubsub, config.events)
          : new LocalEventLog(config.events),
    },
  ],
  exports: [EventLog],
})
export class EventsModule {}
