import type { Redis } from 'ioredis';
import { within } from './within.js';

type Listener = (message: Buffer) => void;

const TIMEOUT_MS = 2000;

/**
 * One subscriber connection shared by everything in the process that listens. Messages published while the connection was down are
 * lost; `onReconnect` tells those who must look for what they missed.
 */
export class RedisPubSub {
  private readonly channels = new Map<string, Set<Listener>>();
  private readonly reconnected = new Set<() => void>();
  private everReady = true;

  constructor(
    private readonly publisher: Redis,
    private readonly subscriber: Redis,
  ) {
    subscriber.on('messageBuffer', (channel: Buffer, message: Buffer) => {
      const listeners = this.channels.get(channel.toString());
      if (listeners) for (const listener of listeners) listener(message);
    });
    subscriber.on('close', () => (this.everReady = false));
    // ioredis sends its subscriptions again before it reports ready.
    subscriber.on('ready', () => {
      if (this.everReady) return;
      this.everReady = true;
      void this.resync();
    });
  }

  /** Resolves when messages published from now on will be heard. The returned function ends the subscription. */
  async subscribe(channel: string, listener: Listener): Promise<() => void> {
    let listeners = this.channels.get(channel);
    if (!listeners) this.channels.set(channel, (listeners = new Set()));
    listeners.add(listener);
    try {
      // Sent even when others listen already: their SUBSCRIBE may still be on its way.
      await within(TIMEOUT_MS, this.subscriber.subscribe(channel));
    } catch (error) {
      this.remove(channel, listener);
      throw error;
    }
    return () => this.remove(channel, listener);
  }

  onReconnect(listener: () => void): () => void {
    this.reconnected.add(listener);
    return () => this.reconnected.delete(listener);
  }

  async publish(channel: string, message: string): Promise<void> {
    await within(TIMEOUT_MS, this.publisher.publish(channel, message));
  }

  /** Whoever looks for what it missed must hear what comes meanwhile: so not before the subscriptions are in place again. */
  private async resync(): Promise<void> {
    const [channel] = this.channels.keys();
    // Commands of one connection are answered in order: this one after those that were sent again.
    const back = channel === undefined ? Promise.resolve() : this.subscriber.subscribe(channel);
    try {
      await back;
      for (const listener of this.reconnected) listener();
    } catch {
      // The connection is gone again: the next `ready` comes here.
      this.everReady = false;
    }
  }

  private remove(channel: string, listener: Listener): void {
    const listeners = this.channels.get(channel);
    if (!listeners?.delete(listener) || listeners.size > 0) return;
    this.channels.delete(channel);
    this.subscriber.unsubscribe(channel).catch(() => this.channels.has(channel));
  }
}
