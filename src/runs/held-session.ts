import type { SessionRef } from '../platform/redis/keys.js';
import type { Lease, StopMode } from './run.store.js';

/** Why a run's signal aborts. */
export class StopRequested extends Error {
  override readonly name = 'StopRequested';
}
export class LeaseLost extends Error {
  override readonly name = 'LeaseLost';
}

/** What of a lease is left unused, so that a write sent just before the end does not land after it. */
const MARGIN_MS = 500;

/**
 * A session this node works on. Its deadline runs on the monotonic clock from the moment a renewal was *sent*; past it the holder
 * writes nothing more, whatever the database would say.
 */
export class HeldSession implements SessionRef {
  readonly tenant_id: string;
  readonly session_id: string;
  private controller = new AbortController();
  private readonly leaving = new AbortController();
  private deadline: number;
  /**
   * The last write of a run is on its way: it may give the lease back before a renewal looks at it, so a lease that is not found then is
   * not lost.
   */
  finishing = false;
  private gone = false;
  private runId: string | undefined;
  private mode: StopMode = 'interrupt';

  constructor(
    readonly lease: Lease,
    leaseMs: number,
    sentAt: number,
  ) {
    this.tenant_id = lease.tenant_id;
    this.session_id = lease.session_id;
    this.deadline = sentAt + leaseMs - MARGIN_MS;
  }

  get lost(): boolean {
    if (!this.gone && performance.now() >= this.deadline) this.lose();
    return this.gone;
  }

  /** The signal of the run at work now. */
  get signal(): AbortSignal {
    return this.controller.signal;
  }

  /** Aborts when this process goes: the work is to be left at the next step boundary. */
  get handover(): AbortSignal {
    return this.leaving.signal;
  }

  /** How the run at work was asked to stop. */
  get stopMode(): StopMode {
    return this.mode;
  }

  /** A stop asked of one run never touches the next one. */
  beginRun(runId: string, stop: StopMode | null): void {
    this.runId = runId;
    this.finishing = false;
    this.mode = 'interrupt';
    if (this.gone) return;
    this.controller = new AbortController();
    if (stop) this.stop(runId, stop);
  }

  renewed(leaseMs: number, sentAt: number): void {
    this.deadline = sentAt + leaseMs - MARGIN_MS;
  }

  /** Without a run, whatever is at work. */
  stop(runId: string | null, mode: StopMode): void {
    if (runId !== null && runId !== this.runId) return;
    if (mode === 'rollback') this.mode = mode;
    this.controller.abort(new StopRequested('stop requested'));
  }

  leave(): void {
    this.leaving.abort();
  }

  lose(): void {
    this.gone = true;
    this.controller.abort(new LeaseLost('the lease of the session is gone'));
  }
}
