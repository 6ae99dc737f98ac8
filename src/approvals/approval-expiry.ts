import { Injectable, Logger, type OnApplicationBootstrap } from '@nestjs/common';
import { SchedulerRegistry } from '@nestjs/schedule';
import { SystemPrincipal } from '../auth/principal.js';
import { Config } from '../platform/config/config.js';
import { ServiceState } from '../platform/lifecycle/service-state.js';
import { Answering } from '../runs/answering.service.js';

/** Sessions that are looked at at once. */
const BATCH = 100;

/** Turns down what nobody answered in time. Every node looks: whichever comes first does it. */
@Injectable()
export class ApprovalExpiry implements OnApplicationBootstrap {
  private readonly logger = new Logger(ApprovalExpiry.name);
  private readonly system = new SystemPrincipal('approvals');
  private sweeping = false;

  constructor(
    private readonly config: Config,
    private readonly answering: Answering,
    private readonly state: ServiceState,
    private readonly scheduler: SchedulerRegistry,
  ) {}

  onApplicationBootstrap(): void {
    const { approval_sweep_ms } = this.config.runs;
    if (approval_sweep_ms === 0) return;
    this.scheduler.addInterval(
      'approvals:expire',
      setInterval(() => void this.sweep(), approval_sweep_ms),
    );
  }

  private async sweep(): Promise<void> {
    if (this.sweeping) return;
    this.sweeping = true;
    try {
      for (let found = BATCH; found === BATCH && this.state.phase !== 'draining';) {
        found = await this.answering.expire(this.system, BATCH);
      }
    } catch (error) {
      this.logger.error({ err: error }, 'Calls that nobody answered in time cannot be turned down, trying again');
    } finally {
      this.sweeping = false;
    }
  }
}
