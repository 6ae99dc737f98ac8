import type { Row, Sql } from '../../platform/database/database.js';
import type { SessionRef } from '../../platform/redis/keys.js';
import { type MessageRow, toMessages } from '../../sessions/transcript-rows.js';
import type { Claim, ClaimOptions, OpenCall, SignalInput, StopMode, Work } from '../run.store.js';
import { SAID, TAKE } from './claim.sql.js';

interface TakenRow extends SessionRef, Row {
  kind: Work['kind'] | 'taken';
  run_id: string | null;
  reply_id: string;
  user_id: string;
  stop: StopMode | null;
  attempt: number;
  work_ms: number;
  open_calls: OpenCall[] | null;
  token: number;
  committed_seq: number;
  last_seq: number;
  messages: MessageRow[];
  signals: SignalInput[];
  state: unknown;
  state_before: unknown;
  structured_schema: Record<string, unknown> | null;
}

/** Gives each session, whose lease row is locked, its next work. `leaseMs`: the length of the lease that is taken with it. */
export async function takeWork(
  sql: Sql,
  sessions: readonly SessionRef[],
  owner: string,
  leaseMs: number | null,
  outage: ClaimOptions['outage'] = null,
  graceMs = 0,
): Promise<Claim[]> {
  const rows = await sql.run<TakenRow>('run-take', TAKE, [
    sessions.map((session) => session.tenant_id),
    sessions.map((session) => session.session_id),
    owner,
    leaseMs,
    outage?.from ?? null,
    outage?.to ?? null,
    graceMs,
  ]);
  return Promise.all(rows.map(async (row) => claimOf(row, owner, await messagesOf(row, sql))));
}

async function messagesOf(row: TakenRow, sql: Sql): Promise<MessageRow[]> {
  return row.kind === 'taken' && kindOf(row) === 'next' ? said(row, sql) : row.messages;
}

const said = ({ tenant_id, session_id, run_id }: TakenRow, sql: Sql): Promise<MessageRow[]> =>
  sql.run<MessageRow & Row>('run-said', SAID, [tenant_id, session_id, run_id]);

/** How a run was taken, also when that is asked for again. Signals of a run stay until it ends: one that was resumed has some. */
function kindOf({ kind, signals, run_id }: TakenRow): Work['kind'] {
  if (kind !== 'taken') return kind;
  return signals.some((signal) => signal.run_id === run_id && signal.kind !== 'notice') ? 'resumed' : 'next';
}

function claimOf(row: TakenRow, owner: string, messages: readonly MessageRow[]): Claim {
  const { tenant_id, session_id, token, run_id, reply_id, user_id, stop, attempt, work_ms, last_seq } = row;
  const run = run_id && {
    run_id,
    reply_id,
    user_id,
    attempt,
    work_ms,
    stop,
    open_calls: (row.open_calls ?? []).map((call) => call.tool_call_id),
    last_seq,
    state: row.state,
    state_before: row.state_before,
    structured_schema: row.structured_schema,
    messages: toMessages(messages.map((message) => ({ ...message, step: 0 }))),
  };
  return {
    lease: { tenant_id, session_id, owner, token },
    kind: kindOf(row),
    run: run || null,
    signals: row.signals,
    last_seq,
    committed_seq: row.committed_seq,
  };
}
