import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { SystemPrincipal } from '../auth/principal.js';
import { Config } from '../platform/config/config.js';
import { ServiceState } from '../platform/lifecycle/service-state.js';
import { UsageStore } from './usage.store.js';

const EVERY_MS = 10_000;
const BATCH = 5000;

/** Adds new model calls to the sums of their days, in the background of nodes that do scheduled work. */
@Injectable()
export class UsageRoller implements OnApplicationBootstrap {
  private readonly logger = new Logger(UsageRoller.name);
  private readonly system = new SystemPrincipal('usage');
  private rolling = false;

  constructor(
    private readonly config: Config,
    private readonly store: UsageStore,
    private readonly state: ServiceState,
    private readonly scheduler: SchedulerRegistry,
  ) {}

  onApplicationBootstrap(): void {
    if (!this.config.has('scheduler')) return;
    this.scheduler.addInterval(
      'usage:roll-up',
      setInterval(() => void this.rollUp(), EVERY_MS),
    );
  }

  private async rollUp(): Promise<void> {
    if (this.rolling) return;
    this.rolling = true;
    try {
      while (this.state.phase !== 'draining' && (await this.store.rollUp(this.system, BATCH)) === BATCH);
    } catch (error) {
      this.logger.error({ err: error }, 'Usage cannot be rolled up, trying again');
    } finally {
      this.rolling = false;
    }
  }
}
