import pg from 'pg';

/** Keys of the advisory locks of a database; the first number keeps them apart from other applications'. */
const SPACE = 0x41455249; // "AERI"
const MIGRATIONS = 1;
const NODES = 2;

/** Runs `work` while no other process migrates this database. */
export async function withMigrationLock<T>(url: string, work: () => Promise<T>): Promise<T> {
  const client = await connect(url);
  try {
    await client.query('SELECT pg_advisory_lock($1, $2)', [SPACE, MIGRATIONS]);
    return await work();
  } finally {
    await client.end();
  }
}

/**
 * The claim of a node on its database, held on a connection of its own. A node with the in-process bus is alone (exclusive); nodes on
 * Redis share. When the connection is lost the lock is taken again; until then `lost` has been called.
 */
export class NodeLock {
  private client: pg.Client | undefined;
  private closed = false;

  private constructor(
    private readonly url: string,
    private readonly exclusive: boolean,
    private readonly onLost: (error: Error) => void,
  ) {}

  /** Null when another node holds what this one needs. */
  static async acquire(url: string, exclusive: boolean, onLost: (error: Error) => void): Promise<NodeLock | null> {
    const lock = new NodeLock(url, exclusive, onLost);
    return (await lock.take()) ? lock : null;
  }

  async release(): Promise<void> {
    this.closed = true;
    await this.client?.end();
    this.client = undefined;
  }

  private async take(): Promise<boolean> {
    const client = await connect(this.url);
    if (!(await tryLock(client, this.exclusive))) {
      await client.end();
      return false;
    }
    // `on`: a connection that is terminated reports more than one error, and an unheard one would end the process.
    client.on('error', (error: Error) => {
      if (this.closed || this.client !== client) return;
      this.client = undefined;
      this.onLost(error);
      void this.retake();
    });
    this.client = client;
    return true;
  }

  private async retake(): Promise<void> {
    for (let delay = 250; !this.closed; delay = Math.min(delay * 2, 5000)) {
      await new Promise((resolve) => setTimeout(resolve, delay).unref());
      try {
        if (this.closed || (await this.take())) return;
        this.onLost(new Error('another process took the lock of this database'));
      } catch (error) {
        this.onLost(error as Error);
      }
    }
  }
}

async function tryLock(client: pg.Client, exclusive: boolean): Promise<boolean> {
  const name = exclusive ? 'pg_try_advisory_lock' : 'pg_try_advisory_lock_shared';
  const { rows } = await client.query<{ ok: boolean }>(`SELECT ${name}($1, $2) AS ok`, [SPACE, NODES]);
  return rows[0]?.ok === true;
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, keepAlive: true, connectionTimeoutMillis: 10_000 });
  // An error that nobody hears would end the process; whoever holds the client hears of it by its next query too.
  client.on('error', () => undefined);
  await client.connect();
  return client;
}
