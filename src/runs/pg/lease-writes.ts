import { Database } from '../../platform/database/database.js';
import { isAway } from '../../platform/database/failures.js';
import { GroupCommit, textLength } from '../../platform/database/group-commit.js';
import type { Checkpoint, CheckpointOutcome, Finish, FinishOutcome, Lease, Park, StopMode } from '../run.store.js';
import { WRITE, WRITTEN, type WriteItem } from './write.sql.js';

/** `asked`: a step is written, and its run is to stop. */
interface Row extends Record<string, unknown> {
  n: number;
  outcome: 'stopped' | 'asked' | 'held' | 'pending' | 'released';
  stop_mode: StopMode | null;
  hints: number;
}
type Written = Row | undefined;

/** What the holders of leases write, gathered into few statements. */
export class LeaseWrites {
  private readonly writes: GroupCommit<WriteItem, Written>;

  constructor(private readonly database: Database) {
    this.writes = new GroupCommit({
      write: (items) => writeAll(database, items),
      key: (item) => `${item.tenant_id}:${item.session_id}`,
      size: ({ data, tools, state, approvals }) => textLength([data, tools, state, approvals]),
      isAway,
    });
  }

  async checkpoint(held: Lease, checkpoint: Checkpoint): Promise<CheckpointOutcome> {
    const run_id = checkpoint.step.run_id;
    const written = await this.writes.submit({ ...blank(held, 'step', run_id), ...stepOf(checkpoint) });
    if (written === undefined) return { outcome: 'fenced' };
    const { hints } = written;
    return written.outcome === 'asked' ? { ...stopped(written), hints } : { outcome: 'held', hints };
  }

  finish(held: Lease, finish: Finish): Promise<FinishOutcome> {
    const { run_id, status, usage, error, ending, remove, voids } = finish;
    return this.end({
      ...blank(held, 'finish', run_id),
      ...stepOf(finish),
      status,
      usage,
      error,
      ending,
      remove,
      voids,
      stoppable: status === 'completed',
    });
  }

  park(held: Lease, park: Park): Promise<FinishOutcome> {
    const { run_id, usage, ending, open_calls, known_calls, approvals, approval_ttl_ms } = park;
    return this.end({
      ...blank(held, 'park', run_id),
      ...stepOf(park),
      usage,
      ending,
      open_calls,
      known_calls,
      approvals,
      approval_ttl_ms,
      stoppable: true,
    });
  }

  async handOver(held: Lease, runId: string | null, lastSeq: number): Promise<boolean> {
    const written = await this.writes.submit({ ...blank(held, 'handover', runId), last_seq: lastSeq });
    return written !== undefined;
  }

  async release(held: Lease, lastSeq: number, consumed: readonly string[]): Promise<FinishOutcome> {
    return outcomeOf(await this.writes.submit({ ...blank(held, 'release', null), last_seq: lastSeq, consumed }));
  }

  /** When the answer of a write is lost its repetition finds the lease gone: whether by this very write, the run row tells. */
  private async end(item: WriteItem): Promise<FinishOutcome> {
    const written = await this.writes.submit(item);
    if (written !== undefined) return outcomeOf(written);
    const rows = await this.database.run('run-written', WRITTEN, [item.tenant_id, item.run_id, item.last_seq]);
    return { outcome: rows.length > 0 ? 'released' : 'fenced' };
  }
}

async function writeAll(database: Database, items: readonly WriteItem[]): Promise<Written[]> {
  const numbered = items.map((item, n) => ({ ...item, n }));
  const rows = await database.run<Row>('run-write', WRITE, [JSON.stringify(numbered)]);
  const results = new Array<Written>(items.length).fill(undefined);
  for (const row of rows) results[row.n] = row;
  return results;
}

const stopped = ({ stop_mode }: Row) => ({ outcome: 'stopped' as const, mode: stop_mode ?? 'interrupt' });

function outcomeOf(written: Written): FinishOutcome {
  if (written === undefined) return { outcome: 'fenced' };
  if (written.outcome === 'stopped') return stopped(written);
  return { outcome: written.outcome === 'released' ? 'released' : 'pending' };
}

const blank = (held: Lease, kind: WriteItem['kind'], run_id: string | null): WriteItem => ({
  n: 0,
  tenant_id: held.tenant_id,
  session_id: held.session_id,
  token: held.token,
  owner: held.owner,
  kind,
  run_id,
  last_seq: 0,
  tools: [],
  calls: [],
  consumed: [],
  known_calls: [],
  stoppable: false,
  remove: false,
  voids: false,
  approvals: [],
  approval_ttl_ms: 0,
});

const stepOf = ({ last_seq, step, tools, calls, consumed, state, state_before }: Checkpoint) => ({
  last_seq,
  reply_id: step.reply_id,
  step: step.step,
  position: step.position,
  data: step.data,
  tools,
  calls,
  consumed,
  state,
  state_before,
});
