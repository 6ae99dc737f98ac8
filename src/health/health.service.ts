import { Injectable } from '@nestjs/common';
import { HealthIndicatorService } from '@nestjs/terminus';
import { Config } from '../platform/config/config.js';
import { Database } from '../platform/database/database.js';
import { ServiceState } from '../platform/lifecycle/service-state.js';
import { JobQueues } from '../platform/queue/job-queues.js';
import { RedisBus } from '../platform/redis/redis.module.js';

/** How long a component may take to answer before it counts as down, and how long its answer is good for. */
const TIMEOUT_MS = 2000;
const CACHE_MS = 500;

export type Components = Record<string, { status: 'up' | 'down'; response_time_ms?: number }>;

@Injectable()
export class HealthService {
  constructor(
    private readonly config: Config,
    private readonly indicators: HealthIndicatorService,
    private readonly database: Database,
    private readonly bus: RedisBus,
    private readonly queues: JobQueues,
    private readonly state: ServiceState,
  ) {}

  /** Asks every component; says only up or down, never why or where. */
  async components(): Promise<Components> {
    const { connections } = this.bus;
    const checks: Record<string, () => Promise<void>> = {
      postgres: () => this.database.ping(),
      ...(connections
        ? { redis: async () => void (await connections.commands.ping()) }
        : { bus: () => Promise.resolve() }),
      queue: () => this.queues.ping(),
    };
    const results: [string, Components[string]][] = await Promise.all(
      Object.entries(checks).map(async ([name, check]) => {
        const result = await this.indicators.check(name).attempt(check).withTimeout(TIMEOUT_MS).cacheFor(CACHE_MS);
        const { status, responseTime } = result[name] as { status: string; responseTime?: number };
        const up = status === 'up';
        return [name, up ? { status: 'up', response_time_ms: responseTime } : { status: 'down' }];
      }),
    );
    return Object.fromEntries(results);
  }

  /** Why this process should get no requests now; empty when it should. */
  async unreadiness(): Promise<string[]> {
    if (this.state.phase !== 'ready') return [this.state.phase];
    const { postgres, redis } = await this.components();
    const needed = { postgres, redis };
    return Object.entries(needed).flatMap(([name, it]) => (it?.status === 'down' ? [`${name} is unreachable`] : []));
  }

  get app() {
    return this.config.app;
  }
}
