import { DOORBELL_CHANNEL } from '../platform/redis/keys.js';
import type { RedisPubSub } from '../platform/redis/pubsub.js';

/** Tells nodes that some session may have work. A hint: it may be lost or repeated, the reconciler covers for it. */
export abstract class Doorbell {
  abstract ring(): Promise<void>;
  abstract onRing(listener: () => void): Promise<() => void>;
}

export class LocalDoorbell extends Doorbell {
  private readonly listeners = new Set<() => void>();

  async ring(): Promise<void> {
    for (const listener of this.listeners) listener();
  }

  async onRing(listener: () => void): Promise<() => void> {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}

export class RedisDoorbell extends Doorbell {
  constructor(private readonly pubsub: RedisPubSub) {
    super();
  }

  ring(): Promise<void> {
    return this.pubsub.publish(DOORBELL_CHANNEL, '');
  }

  onRing(listener: () => void): Promise<() => void> {
    return this.pubsub.subscribe(DOORBELL_CHANNEL, listener);
  }
}
