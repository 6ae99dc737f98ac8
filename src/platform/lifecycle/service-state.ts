import { Injectable, type OnApplicationBootstrap, type OnModuleDestroy } from '@nestjs/common';

/** Where the process is in its life; readiness follows it. */
@Injectable()
export class ServiceState implements OnApplicationBootstrap, OnModuleDestroy {
  phase: 'starting' | 'ready' | 'draining' = 'starting';

  onApplicationBootstrap(): void {
    this.phase = 'ready';
  }

  onModuleDestroy(): void {
    this.phase = 'draining';
  }
}
