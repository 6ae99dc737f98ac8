import { setTimeout as delay } from 'node:timers/promises';
import type { Principal } from '../../auth/principal.js';
import type { Msg } from '../../core/messages/message.js';
import type { Database, Row, Sql } from '../../platform/database/database.js';
import { isAway, isUniqueViolation } from '../../platform/database/failures.js';
import { GroupCommit, textLength } from '../../platform/database/group-commit.js';
import { newId } from '../../platform/ids.js';
import { toStep } from '../../sessions/transcript-rows.js';
import type { Accepted, RunInput, RunStatus, StopMode, Taker } from '../run.store.js';
import * as accept from './accept.sql.js';
import * as lease from './lease.sql.js';
import { blocking, stop } from './open-runs.js';

/** How long an input whose answer was lost is looked for, and tried again, before its client is told to. */
const ACCEPT_MS = 5000;
const RETRY_MS = 100;

interface AcceptRow extends Row {
  n: number;
  outcome: 'taken' | 'queued' | 'joined' | 'duplicate' | 'busy' | 'full' | 'stale' | 'gone';
  token: number;
  last_seq: number;
  collect_run_id: string;
  waiting_run_id: string | null;
  state: unknown;
}

/** Puts input on record, many inputs in one statement. */
export class InputAccepts {
  private readonly accepts: GroupCommit<accept.AcceptItem, AcceptRow | undefined>;

  constructor(private readonly database: Database) {
    this.accepts = new GroupCommit({
      write: (items) => acceptAll(database, items),
      key: (item) => `${item.tenant_id}:${item.session_id}`,
      size: (item) => textLength(item.messages),
      isAway,
    });
  }

  async accept(principal: Principal, input: RunInput, taker: Taker, maxPending: number): Promise<Accepted> {
    const item = acceptItem(principal, input, taker, maxPending);
    try {
      if (input.on_busy === 'interrupt' || input.on_busy === 'rollback') {
        return await this.acceptInstead(principal, item, input, input.on_busy);
      }
      return await this.accepted(this.database, principal, input, await this.surely(item));
    } catch (error) {
      if (!isUniqueViolation(error)) throw error;
      // Without a message only the run itself can be there already.
      if (input.messages.length > 0) return this.duplicate(this.database, principal, input);
      return this.accepted(this.database, principal, input, await this.committed(item));
    }
  }

  /** An input whose answer was lost is looked for by its run before it is sent again. */
  private async surely(item: accept.AcceptItem): Promise<AcceptRow | undefined> {
    for (const until = performance.now() + ACCEPT_MS; ;) {
      try {
        return await this.accepts.submit(item);
      } catch (error) {
        if (!isAway(error) || performance.now() > until) throw error;
      }
      await delay(RETRY_MS);
      const found = await this.committed(item).catch((error: unknown) => {
        if (!isAway(error)) throw error;
      });
      if (found) return found;
    }
  }

  private async committed(item: accept.AcceptItem): Promise<AcceptRow | undefined> {
    const [row] = await this.database.run<Pick<AcceptRow, 'token' | 'last_seq' | 'state'> & { taken: boolean }>(
      'run-accepted',
      accept.ACCEPTED,
      [item.tenant_id, item.run_id, item.owner],
    );
    if (!row) return undefined;
    const { taken, token, last_seq, state } = row;
    return {
      n: item.n,
      outcome: taken ? 'taken' : 'queued',
      token,
      last_seq,
      collect_run_id: '',
      waiting_run_id: null,
      state,
    };
  }

  /** Stop and replacement in one transaction: nothing is stopped for input that is not taken. */
  private async acceptInstead(
    principal: Principal,
    item: accept.AcceptItem,
    input: RunInput,
    mode: StopMode,
  ): Promise<Accepted> {
    try {
      return await this.database.transaction(async (sql) => {
        await sql.run('run-lock', lease.LOCK, [principal.tenant_id, input.session_id]);
        // Sent again: it would stop itself.
        const known = await this.known(sql, principal, input);
        if (known) return known;
        const { run_id } = await stop(sql, principal, input.session_id, mode);
        const [row] = await sql.run<AcceptRow>('run-accept', accept.ACCEPT, [JSON.stringify([item])]);
        const accepted = await this.accepted(sql, principal, input, row);
        if (accepted.outcome === 'taken') return accepted;
        if (accepted.outcome !== 'queued') throw new NotAccepted(accepted);
        return run_id ? { outcome: 'queued', stopped: run_id } : accepted;
      });
    } catch (error) {
      if (error instanceof NotAccepted) return error.outcome;
      throw error;
    }
  }

  private async accepted(
    sql: Sql,
    principal: Principal,
    input: RunInput,
    row: AcceptRow | undefined,
  ): Promise<Accepted> {
    if (!row) return { outcome: 'gone' };
    switch (row.outcome) {
      case 'taken':
        return { outcome: 'taken', token: row.token, last_seq: row.last_seq, state: row.state };
      case 'queued': {
        if (!row.waiting_run_id) return { outcome: 'queued' };
        const blocked_by = await blocking(sql, principal, input.session_id);
        return blocked_by?.status === 'waiting' ? { outcome: 'queued', blocked_by } : { outcome: 'queued' };
      }
      case 'joined':
        return { outcome: 'joined', run_id: row.collect_run_id };
      case 'duplicate':
        return this.duplicate(sql, principal, input);
      case 'busy':
        return { outcome: 'busy', blocking: await blocking(sql, principal, input.session_id) };
      default:
        return { outcome: row.outcome };
    }
  }

  private async duplicate(sql: Sql, principal: Principal, input: RunInput): Promise<Accepted> {
    return (await this.known(sql, principal, input)) ?? { outcome: 'id_taken' };
  }

  /** What became of the first one, when a message of this input was sent before. */
  private async known(sql: Sql, { tenant_id }: Principal, input: RunInput): Promise<Accepted | null> {
    const ids = input.messages.map((message: Msg) => message.id);
    const rows = await sql.run<{ run_id: string; status: RunStatus; role: string }>('run-duplicate', accept.DUPLICATE, [
      tenant_id,
      input.session_id,
      ids,
    ]);
    const [first] = rows;
    if (!first) return null;
    const isRepeated =
      rows.length === ids.length && rows.every((row) => row.run_id === first.run_id && row.role === 'user');
    return isRepeated ? { outcome: 'duplicate', run_id: first.run_id, status: first.status } : { outcome: 'id_taken' };
  }
}

/** Takes a transaction back. */
class NotAccepted extends Error {
  constructor(readonly outcome: Accepted) {
    super('the input is not accepted');
  }
}

async function acceptAll(database: Database, items: readonly accept.AcceptItem[]): Promise<(AcceptRow | undefined)[]> {
  const numbered = items.map((item, n) => ({ ...item, n }));
  const rows = await database.run<AcceptRow>('run-accept', accept.ACCEPT, [JSON.stringify(numbered)]);
  const results = new Array<AcceptRow | undefined>(items.length).fill(undefined);
  for (const row of rows) results[row.n] = row;
  return results;
}

function acceptItem(principal: Principal, input: RunInput, taker: Taker, maxPending: number): accept.AcceptItem {
  return {
    n: 0,
    tenant_id: principal.tenant_id,
    session_id: input.session_id,
    user_id: principal.user_id,
    run_id: input.run_id,
    reply_id: input.reply_id,
    input_id: newId(),
    owner: taker.owner,
    lease_ms: taker.lease_ms,
    has_slot: taker.has_slot,
    rejects: input.on_busy === 'reject',
    coalesce_ms: input.coalesce_ms,
    max_pending: maxPending,
    session_version: input.session_version,
    config_version: input.config_version,
    count: input.messages.length,
    message_ids: input.messages.map((message) => message.id),
    messages: input.messages.map((message) => ({ id: message.id, data: toStep(message) })),
    structured_schema: input.structured_schema,
  };
}
