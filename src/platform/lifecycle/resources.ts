import { Injectable, Logger, type OnApplicationShutdown } from '@nestjs/common';

interface Resource {
  readonly name: string;
  readonly stop: () => Promise<void> | void;
}

/**
 * What the process holds open, in the order it was opened. Providers open their resource through `start`, so dependency injection
 * gives the order; the stop runs in reverse, once. If one start fails, everything that was started is stopped before the error goes on.
 */
@Injectable()
export class Resources implements OnApplicationShutdown {
  private readonly logger = new Logger(Resources.name);
  private readonly open: Resource[] = [];
  private stopping: Promise<void> | undefined;

  async start<T>(name: string, open: () => Promise<T> | T, stop: (value: T) => Promise<void> | void): Promise<T> {
    try {
      const value = await open();
      this.open.push({ name, stop: () => stop(value) });
      return value;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  stop(): Promise<void> {
    return (this.stopping ??= this.stopAll());
  }

  onApplicationShutdown(): Promise<void> {
    return this.stop();
  }

  private async stopAll(): Promise<void> {
    for (const resource of this.open.splice(0).reverse()) {
      try {
        await resource.stop();
      } catch (error) {
        this.logger.error({ err: error, resource: resource.name }, 'A resource did not stop cleanly');
      }
    }
  }
}
