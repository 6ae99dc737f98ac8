import { Logger } from '@nestjs/common';
import { Redis } from 'ioredis';
import { Resources } from '../lifecycle/resources.js';

/** The configured Redis did not answer at start; the message is one line without the URL's password. */
export class RedisStartError extends Error {
  override readonly name = 'RedisStartError';
}

const logger = new Logger('Redis');

/**
 * Opens a connection that is ready before it is handed out and reconnects for ever after. Commands wait in the client while it
 * reconnects; callers that must not wait bound their own waiting.
 */
export async function openRedis(resources: Resources, purpose: string, url: string): Promise<Redis> {
  return resources.start(
    `redis ${purpose}`,
    async () => {
      const client = new Redis(url, {
        lazyConnect: true,
        connectionName: `aerie:${purpose}`,
        enableAutoPipelining: true,
        maxRetriesPerRequest: null,
      });
      let last: Error | undefined;
      client.on('error', (error: Error) => {
        if (last?.message !== error.message) logger.error({ err: error, purpose }, 'Redis connection failed');
        last = error;
      });
      client.on('ready', () => {
        if (last) logger.log({ purpose }, 'Redis is back');
        last = undefined;
      });
      try {
        await client.connect();
      } catch (error) {
        client.disconnect();
        // What connect() says is that the connection is closed; why was said before.
        const failure = (last ?? error) as NodeJS.ErrnoException;
        throw new RedisStartError(`REDIS_URL: Redis cannot be used: ${failure.code ?? failure.message}`, {
          cause: error,
        });
      }
      return client;
    },
    (client) => client.disconnect(),
  );
}
