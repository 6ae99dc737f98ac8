import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { Interval } from '@nestjs/schedule';
import { SystemPrincipal } from '../auth/principal.js';
import { InterruptBackend, type InterruptSignal } from '../interrupts/interrupt-backend.js';
import { Config } from '../platform/config/config.js';
import { NodeIdentity } from '../platform/database/database.module.js';
import { Resources } from '../platform/lifecycle/resources.js';
import type { SessionRef } from '../platform/redis/keys.js';
import type { Assembly } from './assembler.js';
import { Doorbell } from './doorbell.js';
import { HeldSession } from './held-session.js';
import { RunStore, type Lease, type Taker } from './run.store.js';
import { type ClaimedWork, SessionRunner } from './session-runner.js';

const RECONCILE_MS = 2000;

/**
 * The sessions this process works on: a bounded number of slots, one renewal for all leases, claims of waiting sessions when the
 * doorbell rings, and a reconciler for rings that were lost and holders that died.
 */
@Injectable()
export class RunNode implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(RunNode.name);
  private readonly system = new SystemPrincipal('runs');
  private readonly held = new Map<string, HeldSession>();
  private readonly working = new Set<Promise<void>>();
  private readonly isWorker: boolean;
  private draining = false;
  /** Slots set aside for runs that are just being accepted or claimed. */
  private reserved = 0;
  /** A claim is under way; `again` when the doorbell rang meanwhile. */
  private claiming = false;
  private again = false;
  private renewTimer: NodeJS.Timeout | undefined;

  constructor(
    private readonly config: Config,
    private readonly node: NodeIdentity,
    private readonly store: RunStore,
    private readonly runner: SessionRunner,
    private readonly doorbell: Doorbell,
    private readonly interrupts: InterruptBackend,
    private readonly resources: Resources,
  ) {
    this.isWorker = config.has('worker');
  }

  async onApplicationBootstrap(): Promise<void> {
    if (!this.isWorker) return;
    // Without Redis this process is alone on its database: whoever held a lease is dead.
    if (!this.config.redis.url) await this.store.expireAll(this.system);
    await this.resources.start(
      'runs',
      async () => {
        const unsubscribe = [
          await this.doorbell.onRing(() => void this.claimAll()),
          await this.interrupts.subscribe((signal) => this.stop(signal)),
        ];
        this.renewTimer = setInterval(() => void this.renew(), this.config.runs.lease_ms / 3);
        return unsubscribe;
      },
      async (unsubscribe) => {
        clearInterval(this.renewTimer);
        for (const end of unsubscribe) end();
      },
    );
    void this.claimAll();
  }

  /** Before the listeners close: streams still carry what the last runs say. */
  async onModuleDestroy(): Promise<void> {
    await this.drain();
  }

  /** How this process would take a run that is being accepted. A slot is set aside until `release`, which must follow. */
  reserve(): { taker: Taker; release: () => void } {
    const has_slot = this.hasSlot;
    const taker = { owner: this.node.id, lease_ms: this.config.runs.lease_ms, has_slot };
    if (!has_slot) return { taker, release: () => undefined };
    this.reserved++;
    return { taker, release: () => void this.reserved-- };
  }

  get active(): number {
    return this.held.size;
  }

  /** Begins the work on a session this process has just taken. `sentAt`: when the statement that took it was sent. */
  begin(lease: Lease, work: ClaimedWork, sentAt: number, assembly?: Assembly): void {
    const held = new HeldSession(lease, this.config.runs.lease_ms, sentAt);
    this.held.set(key(lease), held);
    const done = this.runner
      .drain(held, work, assembly)
      .catch((error: unknown) => {
        // The lease is not renewed any more: another attempt follows when it has expired.
        this.logger.error({ err: error, session_id: lease.session_id }, 'The work on a session broke off');
      })
      .finally(() => {
        if (this.held.get(key(lease)) === held) this.held.delete(key(lease));
        this.working.delete(done);
        if (this.again) void this.claimAll();
      });
    this.working.add(done);
  }

  /** Stops the run, if this process works on it. */
  stop(signal: InterruptSignal): void {
    this.held.get(key(signal))?.stop(signal.run_id);
  }

  /** Covers lost doorbells and dead holders. */
  @Interval(RECONCILE_MS)
  async claimAll(): Promise<void> {
    if (!this.isWorker || this.draining) return;
    if (this.claiming) {
      this.again = true;
      return;
    }
    this.claiming = true;
    try {
      do {
        this.again = false;
        while (await this.claimOne());
      } while (this.again && this.hasSlot);
      // Out of slots: the next one that gets free looks again.
      this.again = !this.hasSlot;
    } catch (error) {
      this.logger.error({ err: error }, 'Waiting sessions cannot be claimed');
    } finally {
      this.claiming = false;
    }
  }

  private async claimOne(): Promise<boolean> {
    if (!this.hasSlot) return false;
    const sentAt = performance.now();
    const { taker, release } = this.reserve();
    try {
      const claim = await this.store.claim(this.system, taker);
      if (!claim) return false;
      const { lease, ...work } = claim;
      this.begin(lease, work, sentAt);
      return true;
    } finally {
      release();
    }
  }

  private async renew(): Promise<void> {
    const sessions = [...this.held.values()];
    if (sessions.length === 0) return;
    const sentAt = performance.now();
    try {
      const leases = sessions.map((session) => session.lease);
      const renewed = await this.store.renew(this.system, leases, this.config.runs.lease_ms);
      const ours = new Map(renewed.map((it) => [key(it), it]));
      for (const session of sessions) {
        const row = ours.get(key(session));
        if (row) session.renewed(this.config.runs.lease_ms, sentAt);
        else if (!session.finishing) session.lose();
        if (row?.stop_run_id) session.stop(row.stop_run_id);
      }
    } catch (error) {
      this.logger.error({ err: error, leases: sessions.length }, 'Leases cannot be renewed');
    }
  }

  /** Lets runs come to their end; those still at work when time is up are left to whoever recovers them. */
  private async drain(): Promise<void> {
    this.draining = true;
    const timeout = new Promise<void>((resolve) => setTimeout(resolve, this.config.runs.drain_ms).unref());
    await Promise.race([this.idle(), timeout]);
    for (const session of this.held.values()) session.lose();
    await this.idle();
  }

  /** Resolves when nothing is at work, nor about to be. */
  private async idle(): Promise<void> {
    while (this.working.size > 0 || this.reserved > 0) {
      await Promise.all(this.working);
      if (this.reserved > 0) await new Promise((resolve) => setImmediate(resolve));
    }
  }

  private get hasSlot(): boolean {
    return this.isWorker && !this.draining && this.held.size + this.reserved < this.config.runs.concurrency;
  }
}

const key = (ref: SessionRef): string => `${ref.tenant_id}:${ref.session_id}`;
