import { Global, Module } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { Config } from '../config/config.js';
import { Resources } from '../lifecycle/resources.js';
import { RedisPubSub } from './pubsub.js';
import { openRedis } from './redis.js';

/** The bus's Redis: `commands` for everything short, `pubsub` for everything heard. */
export interface BusConnections {
  readonly commands: Redis;
  readonly pubsub: RedisPubSub;
}

/** Holds the connections of the bus, or nothing in a process with the in-process bus. */
export class RedisBus {
  constructor(readonly connections: BusConnections | undefined) {}
}

export async function openBus(resources: Resources, url: string): Promise<BusConnections> {
  const commands = await openRedis(resources, 'commands', url);
  const subscriber = await openRedis(resources, 'subscriber', url);
  return { commands, pubsub: new RedisPubSub(commands, subscriber) };
}

@Global()
@Module({
  providers: [
    {
      provide: RedisBus,
      inject: [Config, Resources],
      useFactory: async (config: Config, resources: Resources) =>
        new RedisBus(config.redis.url ? await openBus(resources, config.redis.url) : undefined),
    },
  ],
  exports: [RedisBus],
})
export class RedisModule {}
