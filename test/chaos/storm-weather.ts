import { eventually } from '../support/eventually.js';
import { keepOutput, type NodeProcess } from './node-process.js';
import type { Chance } from '../../src/core/testing/chance.js';
import type { Stage } from './stage.js';

const PATIENCE_MS = 90_000;

export type Act = 'kill' | 'roll' | 'redis' | 'postgres' | 'api';

/** What befalls the service, one act after the other, each in the midst of work. */
export class Weather {
  readonly counts = { kills: 0, rolls: 0, 'Redis emptied': 0, 'PostgreSQL restarted': 0, 'API restarts': 0 };
  private workers: NodeProcess[] = [];

  constructor(
    private readonly stage: Stage,
    private readonly chance: Chance,
    /** How many events followers have seen so far: the clock of the storm. */
    private readonly events: () => number,
  ) {}

  async start(workers: number): Promise<void> {
    this.workers = await Promise.all(Array.from({ length: workers }, () => this.stage.worker()));
  }

  async run(acts: readonly Act[]): Promise<void> {
    for (const act of acts) {
      const moment = this.events() + this.chance.between(20, 400);
      await eventually(() => (this.events() >= moment ? true : undefined), PATIENCE_MS);
      await this.perform(act);
    }
  }

  private async perform(act: Act): Promise<void> {
    note(act, this.workers);
    switch (act) {
      case 'kill': {
        const worker = await this.busyWorker();
        note('killed', [worker]);
        await worker.kill();
        this.counts.kills += 1;
        await this.replace(worker);
        return;
      }
      case 'roll': {
        const worker = await this.busyWorker();
        note('asked to stop', [worker]);
        const [code] = await Promise.all([worker.stop(), this.replace(worker)]);
        if (code !== 0) throw new Error(`a worker that was asked to stop ended with ${code}:\n${worker.output()}`);
        this.counts.rolls += 1;
        return;
      }
      case 'redis':
        await this.stage.killRedis();
        await this.stage.reviveRedis();
        this.counts['Redis emptied'] += 1;
        return;
      case 'postgres':
        await this.stage.restartPostgres();
        this.counts['PostgreSQL restarted'] += 1;
        return;
      case 'api':
        await (this.chance.hits(0.5) ? this.stage.api.kill() : this.stage.api.stop());
        await this.stage.startApi();
        this.counts['API restarts'] += 1;
        return;
    }
  }

  /** A worker that holds a session now. */
  private busyWorker(): Promise<NodeProcess> {
    return eventually(async () => {
      const rows = await this.stage.patientSql<{ lease_owner: string }>(
        'SELECT DISTINCT lease_owner FROM session_leases WHERE lease_expires_at > clock_timestamp()',
      );
      const busy = this.workers.filter(({ pid }) => rows.some((row) => row.lease_owner.includes(`:${pid}:`)));
      return busy.length > 0 ? this.chance.pick(busy) : undefined;
    }, PATIENCE_MS);
  }

  private async replace(worker: NodeProcess): Promise<void> {
    const another = await this.stage.worker();
    this.workers[this.workers.indexOf(worker)] = another;
  }
}

const note = (what: string, nodes: readonly NodeProcess[]): void =>
  keepOutput('weather', `${Date.now()} ${what} ${nodes.map(({ pid }) => pid).join(' ')}\n`);

/** Every kind of act, and the longer the storm the more kills, emptied stores and restarts; in an order that chance chooses. */
export function forecast(chance: Chance, kills: number): Act[] {
  const times = (count: number, act: Act): Act[] => Array.from({ length: count }, () => act);
  const more = Math.ceil(kills / 4) - 1;
  const acts: Act[] = ['redis', 'postgres', 'roll', 'api', ...times(more, 'redis'), ...times(more, 'roll')];
  acts.push(...times(kills, 'kill'));
  for (let at = acts.length - 1; at > 0; at -= 1) {
    const other = chance.between(0, at);
    [acts[at], acts[other]] = [acts[other] as Act, acts[at] as Act];
  }
  return acts;
}
