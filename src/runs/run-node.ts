import { Injectable, Logger, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';
import { setTimeout as delay } from 'node:timers/promises';
import { SystemPrincipal } from '../auth/principal.js';
import { InterruptBackend, type InterruptSignal } from '../interrupts/interrupt-backend.js';
import { Config } from '../platform/config/config.js';
import { NodeIdentity } from '../platform/database/database.module.js';
import { Resources } from '../platform/lifecycle/resources.js';
import type { SessionRef } from '../platform/redis/keys.js';
import type { Assembly } from './assembler.js';
import { HeldSession } from './held-session.js';
import { type Lease, RunStore, type Taker, type Work } from './run.store.js';
import { SessionRunner } from './session-runner.js';

/** What is left of a stop when nothing may be waited for any more. */
const LAST_MS = 5000;

/** The sessions this process works on: a bounded number of slots, the way to stop what is in them, and to leave them all. */
@Injectable()
export class RunNode implements OnApplicationBootstrap, OnModuleDestroy {
  private readonly logger = new Logger(RunNode.name);
  private readonly held = new Map<string, HeldSession>();
  private readonly working = new Set<Promise<void>>();
  private readonly freed = new Set<() => void>();
  /** Slots set aside for runs that are just being accepted or claimed. */
  private reserved = 0;
  private leaving = false;

  constructor(
    private readonly config: Config,
    private readonly node: NodeIdentity,
    private readonly store: RunStore,
    private readonly runner: SessionRunner,
    private readonly interrupts: InterruptBackend,
    private readonly resources: Resources,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (!this.isWorker) return;
    // Without Redis this process is alone on its database: whoever held a lease is dead.
    if (!this.config.redis.url) await this.store.expireAll(new SystemPrincipal('runs'));
    await this.resources.start(
      'interrupts',
      () => this.interrupts.subscribe((signal) => this.stop(signal)),
      (unsubscribe) => unsubscribe(),
    );
  }

  /** Before the listeners close: streams still carry what the last runs say. */
  async onModuleDestroy(): Promise<void> {
    await this.leave();
  }

  get isWorker(): boolean {
    return this.config.has('worker');
  }

  get sessions(): HeldSession[] {
    return [...this.held.values()];
  }

  get freeSlots(): number {
    if (!this.isWorker || this.leaving) return 0;
    return Math.max(0, this.config.runs.concurrency - this.held.size - this.reserved);
  }

  /** How this process would take a run that is being accepted. A slot is set aside until `release`, which must follow. */
  reserve(): { taker: Taker; release: () => void } {
    const { taker, slots, release } = this.reserveUpTo(1);
    return { taker: { ...taker, has_slot: slots > 0 }, release };
  }

  /** As `reserve`, for up to `wanted` slots. */
  reserveUpTo(wanted: number): { taker: Omit<Taker, 'has_slot'>; slots: number; release: () => void } {
    const slots = Math.min(wanted, this.freeSlots);
    this.reserved += slots;
    const taker = { owner: this.node.id, lease_ms: this.config.runs.lease_ms };
    return { taker, slots, release: () => void (this.reserved -= slots) };
  }

  /** Begins the work on a session this process has just taken. `sentAt`: when the statement that took it was sent. */
  begin(lease: Lease, work: Work, sentAt: number, assembly?: Assembly): void {
    const before = this.find(lease);
    if (before && before.lease.token >= lease.token) throw new Error('a session cannot be held twice under one lease');
    const held = new HeldSession(lease, this.config.runs.lease_ms, sentAt);
    this.held.set(key(lease), held);
    if (this.leaving) held.leave();
    const done = this.runner
      .drain(held, work, assembly)
      .catch((error: unknown) => {
        // The lease is not renewed any more: another attempt follows when it has expired.
        this.logger.error({ err: error, session_id: lease.session_id }, 'The work on a session broke off');
      })
      .finally(() => {
        if (this.held.get(key(lease)) === held) this.held.delete(key(lease));
        this.working.delete(done);
        for (const listener of this.freed) listener();
      });
    this.working.add(done);
  }

  /** Hears that a slot became free. */
  onFreed(listener: () => void): void {
    this.freed.add(listener);
  }

  find(ref: SessionRef): HeldSession | undefined {
    return this.held.get(key(ref));
  }

  /** Stops the run, if this process works on it. */
  stop(signal: InterruptSignal): void {
    this.find(signal)?.stop(signal.run_id, signal.mode);
  }

  /**
   * Leaves all work at its next step boundary, for another node. A tool that is still running when time is up is left to whoever recovers
   * its run.
   */
  private async leave(): Promise<void> {
    this.leaving = true;
    for (const session of this.held.values()) session.leave();
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<void>((resolve) => (timer = setTimeout(resolve, this.config.runs.drain_ms)));
    await Promise.race([this.idle(), timeout]);
    clearTimeout(timer);
    for (const session of this.held.values()) session.lose();
    await Promise.race([this.idle(), delay(LAST_MS, undefined, { ref: false })]);
  }

  /** Resolves when nothing is at work, nor about to be. */
  private async idle(): Promise<void> {
    while (this.working.size > 0 || this.reserved > 0) {
      await Promise.all(this.working);
      if (this.reserved > 0) await delay(10);
    }
  }
}

const key = (ref: SessionRef): string => `${ref.tenant_id}:${ref.session_id}`;
