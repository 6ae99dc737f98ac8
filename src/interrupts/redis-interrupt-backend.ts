import { z } from 'zod';
import { INTERRUPT_CHANNEL } from '../platform/redis/keys.js';
import type { RedisPubSub } from '../platform/redis/pubsub.js';
import { InterruptBackend, type InterruptSignal } from './interrupt-backend.js';

const Signal = z.object({
  tenant_id: z.string(),
  session_id: z.string(),
  run_id: z.string().nullable(),
  mode: z.enum(['interrupt', 'rollback']),
});

export class RedisInterruptBackend extends InterruptBackend {
  /** `onForeign`: something else was published on the channel. */
  constructor(
    private readonly pubsub: RedisPubSub,
    private readonly onForeign: () => void,
  ) {
    super();
  }

  async publish(signal: InterruptSignal): Promise<void> {
    await this.pubsub.publish(INTERRUPT_CHANNEL, JSON.stringify(Signal.parse(signal)));
  }

  subscribe(listener: (signal: InterruptSignal) => void): Promise<() => void> {
    return this.pubsub.subscribe(INTERRUPT_CHANNEL, (message) => {
      const signal = parse(message);
      if (signal) listener(signal);
      else this.onForeign();
    });
  }
}

function parse(message: Buffer): InterruptSignal | undefined {
  try {
    return Signal.safeParse(JSON.parse(message.toString())).data;
  } catch {
    return undefined;
  }
}
