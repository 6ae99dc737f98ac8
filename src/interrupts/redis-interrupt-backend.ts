import { INTERRUPT_CHANNEL } from '../platform/redis/keys.js';
import type { RedisPubSub } from '../platform/redis/pubsub.js';
import { InterruptBackend, type InterruptSignal } from './interrupt-backend.js';

export class RedisInterruptBackend extends InterruptBackend {
  constructor(private readonly pubsub: RedisPubSub) {
    super();
  }

  async publish({ tenant_id, session_id, run_id }: InterruptSignal): Promise<void> {
    await this.pubsub.publish(INTERRUPT_CHANNEL, JSON.stringify({ tenant_id, session_id, run_id }));
  }

  subscribe(listener: (signal: InterruptSignal) => void): Promise<() => void> {
    return this.pubsub.subscribe(INTERRUPT_CHANNEL, (message) =>
      listener(JSON.parse(message.toString()) as InterruptSignal),
    );
  }
}
