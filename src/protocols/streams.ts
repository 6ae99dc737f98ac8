import { Injectable, Logger, type BeforeApplicationShutdown } from '@nestjs/common';
import { AerieError } from '../platform/http/errors.js';

/** The open streams of this process: counted per tenant, and closed when the process goes. */
@Injectable()
export class Streams implements BeforeApplicationShutdown {
  private readonly logger = new Logger(Streams.name);
  private readonly perTenant = new Map<string, number>();
  private readonly open = new Set<AbortController>();
  private closing = false;

  /** Registers a stream; its controller aborts when the process goes. `limit` bounds the streams of one tenant. */
  enter(tenantId: string, limit: number): { controller: AbortController; leave: () => void } {
    const count = this.perTenant.get(tenantId) ?? 0;
    if (count >= limit) {
      throw new AerieError('too_many_streams', 'Too many streams are open.', undefined, {
        headers: { 'retry-after': '5' },
      });
    }
    this.perTenant.set(tenantId, count + 1);
    const controller = new AbortController();
    this.open.add(controller);
    if (this.closing) controller.abort();
    const leave = () => {
      if (!this.open.delete(controller)) return;
      const left = (this.perTenant.get(tenantId) ?? 1) - 1;
      if (left > 0) this.perTenant.set(tenantId, left);
      else this.perTenant.delete(tenantId);
    };
    return { controller, leave };
  }

  beforeApplicationShutdown(): void {
    this.closing = true;
    if (this.open.size > 0) this.logger.log({ streams: this.open.size }, 'Closing streams');
    for (const controller of this.open) controller.abort();
  }
}
