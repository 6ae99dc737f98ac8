import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { SystemPrincipal } from '../auth/principal.js';
import { Config } from '../platform/config/config.js';
import { Resources } from '../platform/lifecycle/resources.js';
import { DatabaseContact } from './database-contact.js';
import { Doorbell } from './doorbell.js';
import { RunNode } from './run-node.js';
import { RunStore } from './run.store.js';

/** Sessions taken by one statement. */
const BATCH = 16;

/** Takes waiting sessions when the doorbell rings or a slot becomes free; now and then for rings that were lost and holders that died. */
@Injectable()
export class Claimer implements OnApplicationBootstrap {
  private readonly logger = new Logger(Claimer.name);
  private readonly system = new SystemPrincipal('claims');
  /** A claim is under way; `again` when there was reason to look once more meanwhile, or no slot was left. */
  private claiming = false;
  private again = false;

  constructor(
    private readonly config: Config,
    private readonly store: RunStore,
    private readonly node: RunNode,
    private readonly doorbell: Doorbell,
    private readonly contact: DatabaseContact,
    private readonly resources: Resources,
    private readonly scheduler: SchedulerRegistry,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    if (!this.node.isWorker) return;
    this.node.onFreed(() => {
      if (this.again) void this.claimAll();
    });
    await this.resources.start(
      'doorbell',
      () => this.doorbell.onRing(() => void this.claimAll()),
      (unsubscribe) => unsubscribe(),
    );
    const { reconcile_ms } = this.config.runs;
    if (reconcile_ms > 0) {
      this.scheduler.addInterval(
        'runs:reconcile',
        setInterval(() => void this.claimAll(), reconcile_ms),
      );
    }
    void this.claimAll();
  }

  async claimAll(): Promise<void> {
    if (!this.node.isWorker) return;
    if (this.claiming) {
      this.again = true;
      return;
    }
    this.claiming = true;
    try {
      do {
        this.again = false;
        while (await this.claimSome());
      } while (this.again && this.node.freeSlots > 0);
      // Out of slots: the next one that gets free looks again.
      this.again = this.node.freeSlots === 0;
    } catch (error) {
      this.logger.error({ err: error }, 'Waiting sessions cannot be claimed');
    } finally {
      this.claiming = false;
    }
  }

  /** True when there may be more. */
  private async claimSome(): Promise<boolean> {
    const { taker, slots, release } = this.node.reserveUpTo(BATCH);
    try {
      if (slots === 0) return false;
      const { outage, grace_ms } = this.contact;
      const sentAt = performance.now();
      const claims = await this.contact.watch(this.store.claim(this.system, taker, { limit: slots, outage, grace_ms }));
      for (const { lease, ...work } of claims) this.node.begin(lease, work, sentAt);
      return claims.length > 0;
    } finally {
      release();
    }
  }
}
