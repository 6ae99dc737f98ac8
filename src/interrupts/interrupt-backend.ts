import type { SessionRef } from '../platform/redis/keys.js';

/** Which run is to stop; without a run, whatever the session is doing (it was deleted). `rollback`: its reply is removed, too. */
export interface InterruptSignal extends SessionRef {
  readonly run_id: string | null;
  readonly mode: 'interrupt' | 'rollback';
}

/**
 * Carries the wish to stop a session to the process that works on it. A hint: it may be lost or repeated. What counts is the stop
 * request on the run, which its holder looks for a few times a second. A custom one comes in through the options of AerieModule; the
 * contract is in `test/contract/interrupt-backend.ts`.
 */
export abstract class InterruptBackend {
  /** Fails, or gives up, within seconds when the signal cannot be carried. */
  abstract publish(signal: InterruptSignal): Promise<void>;
  /** Hears every request published after it resolved. Returns the way to stop. */
  abstract subscribe(listener: (signal: InterruptSignal) => void): Promise<() => void>;
}

/** For a process that is alone. */
export class LocalInterruptBackend extends InterruptBackend {
  private readonly listeners = new Set<(signal: InterruptSignal) => void>();

  async publish(signal: InterruptSignal): Promise<void> {
    for (const listener of this.listeners) listener(signal);
  }

  async subscribe(listener: (signal: InterruptSignal) => void): Promise<() => void> {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }
}
