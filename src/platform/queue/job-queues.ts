import { Inject, Injectable, Logger } from '@nestjs/common';
import { createPostgresBackend, createRedisBackend, Queue, Worker, type ConnectionOptions } from 'bullmq';
import { Config } from '../config/config.js';
import { Database } from '../database/database.js';
import { DatabaseUrl } from '../database/database.module.js';
import { Resources } from '../lifecycle/resources.js';
import { QUEUE_PREFIX } from '../redis/keys.js';

/** Jobs that are done with are kept this long for a look. */
const KEEP = { removeOnComplete: { age: 3600, count: 1000 }, removeOnFail: { age: 7 * 86_400, count: 1000 } };

const CLOSE_MS = 5000;

/**
 * Named queues for background work, on Redis when there is one, else in the database. A job is a hint to look at the truth in the
 * database: it may run twice, and a lost one is made up for by the next.
 */
@Injectable()
export class JobQueues {
  private readonly logger = new Logger(JobQueues.name);
  private readonly queues = new Map<string, Promise<Queue>>();
  readonly backend: 'redis' | 'postgres';

  constructor(
    private readonly config: Config,
    private readonly resources: Resources,
    @Inject(DatabaseUrl) private readonly url: DatabaseUrl,
    // The queue's tables are in the same database: opened after it, closed before it.
    @Inject(Database) _database: Database,
  ) {
    this.backend = config.redis.queue_url ? 'redis' : 'postgres';
  }

  /** Adds a job unless one of its name waits already; one that is at work is followed by another, since it may have looked too early. */
  async add(queue: string, name: string): Promise<void> {
    const opened = await this.open(queue);
    await opened.add(
      name,
      {},
      {
        deduplication: { id: name, keepLastIfActive: true },
        attempts: 5,
        backoff: { type: 'exponential', delay: 1000 },
        ...KEEP,
      },
    );
  }

  /** Works off a queue in this process when it has the worker role. */
  async process(queue: string, handler: () => Promise<void>): Promise<void> {
    await this.open(queue);
    if (!this.config.has('worker')) return;
    await this.resources.start(
      `worker of ${queue}`,
      () => {
        const worker = new Worker(queue, handler, { ...this.options(), concurrency: 1 }, this.factory());
        worker.on('error', (error) => this.logger.error({ err: error, queue }, 'A queue worker has a problem'));
        worker.on('failed', (job, error) => this.logger.error({ err: error, queue, job: job?.name }, 'A job failed'));
        return worker;
      },
      (worker) => this.close(queue, worker),
    );
  }

  /** A job at work is waited for; a worker that is looking for its Redis would be waited for as long as that is away. */
  private async close(queue: string, worker: Worker): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    const timeout = new Promise<'late'>((resolve) => (timer = setTimeout(() => resolve('late'), CLOSE_MS)));
    const outcome = await Promise.race([worker.close(), timeout]);
    clearTimeout(timer);
    if (outcome !== 'late') return;
    this.logger.warn({ queue }, 'A queue worker did not close in time; its job is left to another one');
    worker.disconnect().catch((error: unknown) => this.logger.warn({ err: error, queue }, 'It cannot be disconnected'));
  }

  /** Resolves when every queue answers. */
  async ping(): Promise<void> {
    await Promise.all([...this.queues.values()].map(async (queue) => (await queue).getWaitingCount()));
  }

  private open(name: string): Promise<Queue> {
    let queue = this.queues.get(name);
    if (!queue) {
      queue = this.resources.start(
        `queue ${name}`,
        async () => {
          const opened = new Queue(name, this.options(), this.factory());
          opened.on('error', (error) => this.logger.error({ err: error, queue: name }, 'A queue has a problem'));
          await opened.waitUntilReady();
          return opened;
        },
        (opened) => opened.close(),
      );
      this.queues.set(name, queue);
    }
    return queue;
  }

  private factory() {
    return (this.backend === 'redis' ? createRedisBackend : createPostgresBackend) as typeof createRedisBackend;
  }

  private options(): { connection: ConnectionOptions; prefix: string } {
    const { queue_url } = this.config.redis;
    const connection = queue_url
      ? { url: queue_url, maxRetriesPerRequest: null }
      : { connectionString: this.url.value, schema: 'bullmq', migrate: true, max: 3 };
    return { connection: connection, prefix: QUEUE_PREFIX };
  }
}
