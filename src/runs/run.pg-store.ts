import { Injectable } from '@nestjs/common';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { Msg } from '../core/messages/message.js';
import { Database, type Row, type Sql } from '../platform/database/database.js';
import { newId } from '../platform/ids.js';
import type { SessionRef } from '../platform/redis/keys.js';
import { type MessageRow, toMessages, toStep } from '../sessions/transcript-rows.js';
import * as statement from './run.sql.js';
import {
  RunStore,
  type Accepted,
  type Claim,
  type Finish,
  type FinishOutcome,
  type Lease,
  type Renewed,
  type RunInput,
  type RunStatus,
  type Step,
  type StopRequest,
  type Taker,
  type TakenRun,
} from './run.store.js';

/** Numbers a dead holder may have given beyond what it committed: the next one starts above them. */
const SEQ_JUMP = 2 ** 20;

const UNIQUE_VIOLATION = '23505';

@Injectable()
export class RunPgStore extends RunStore {
  constructor(private readonly database: Database) {
    super();
  }

  async accept(principal: Principal, input: RunInput, taker: Taker, maxPending: number): Promise<Accepted> {
    const { tenant_id, user_id } = principal;
    const rows = input.messages.map((message) => ({ id: message.id, data: toStep(message) }));
    let accepted: { taken: boolean; lease_token: number; last_seq: number } | undefined;
    try {
      [accepted] = await this.database.run<{ taken: boolean; lease_token: number; last_seq: number }>(
        'run-accept',
        statement.ACCEPT,
        [
          tenant_id,
          input.session_id,
          input.run_id,
          user_id,
          input.reply_id,
          taker.has_slot,
          taker.owner,
          taker.lease_ms,
          JSON.stringify(rows),
          rows.length,
          maxPending,
          newId(),
        ],
      );
    } catch (error) {
      if ((error as { code?: string }).code !== UNIQUE_VIOLATION) throw error;
      return this.duplicate(principal, input);
    }
    if (accepted) {
      const { taken, lease_token: token, last_seq } = accepted;
      return taken ? { outcome: 'taken', token, last_seq } : { outcome: 'queued' };
    }
    const exists = await this.exists({ tenant_id, session_id: input.session_id });
    return { outcome: exists ? 'full' : 'gone' };
  }

  async checkpoint(lease: Lease, step: Step, lastSeq: number): Promise<boolean> {
    const rows = await this.database.run('run-checkpoint', statement.CHECKPOINT, [
      ...holder(lease),
      lastSeq,
      ...stepValues(step),
    ]);
    return rows.length > 0;
  }

  async finish(lease: Lease, finish: Finish): Promise<FinishOutcome> {
    const [row] = await this.database.run<{ released: boolean }>('run-finish', statement.FINISH, [
      ...holder(lease),
      finish.last_seq,
      ...stepValues(finish.step),
      finish.status,
      finish.usage,
      finish.error,
    ]);
    if (!row) return 'fenced';
    return row.released ? 'released' : 'pending';
  }

  next(lease: Lease): Promise<TakenRun | null> {
    return this.database.transaction(async (sql) => {
      await sql.run('run-lock', statement.LOCK, [lease.tenant_id, lease.session_id]);
      return this.takeNext(sql, lease);
    });
  }

  claim(_system: SystemPrincipal, taker: Omit<Taker, 'has_slot'>): Promise<Claim | null> {
    return this.database.transaction(async (sql) => {
      const [claimed] = await sql.run<SessionRef & { token: number } & Row>('run-claim', statement.CLAIM, [
        taker.owner,
        taker.lease_ms,
      ]);
      if (!claimed) return null;
      const { tenant_id, session_id, token } = claimed;
      const lease: Lease = { tenant_id, session_id, token, owner: taker.owner };
      const [abandoned] = await sql.run<Omit<TakenRun, 'messages'> & { committed_seq: number; attempt: number } & Row>(
        'run-abandoned',
        statement.ABANDONED,
        [...holder(lease), SEQ_JUMP],
      );
      if (abandoned) return { lease, kind: 'abandoned', run: abandoned };
      const run = await this.takeNext(sql, lease);
      return run && { lease, kind: 'next', run };
    });
  }

  async renew(_system: SystemPrincipal, leases: readonly Lease[], leaseMs: number): Promise<Renewed[]> {
    return this.database.run<Renewed & Row>('run-renew', statement.RENEW, [
      leases.map((lease) => lease.tenant_id),
      leases.map((lease) => lease.session_id),
      leases.map((lease) => lease.token),
      leases.map((lease) => lease.owner),
      leaseMs,
    ]);
  }

  async steps(lease: Lease, replyId: string): Promise<MessageRow[]> {
    return this.database.run<MessageRow & Row>('run-steps', statement.STEPS, [
      lease.tenant_id,
      lease.session_id,
      replyId,
    ]);
  }

  async exists({ tenant_id, session_id }: SessionRef): Promise<boolean> {
    const rows = await this.database.run('run-lease-exists', statement.LEASE_EXISTS, [tenant_id, session_id]);
    return rows.length > 0;
  }

  requestStop(principal: Principal, sessionId: string, by: string): Promise<StopRequest> {
    const session = [principal.tenant_id, sessionId];
    return this.database.transaction(async (sql) => {
      await sql.run('run-lock', statement.LOCK, session);
      const [running] = await sql.run<{ id: string }>('run-stop', statement.STOP_RUNNING, [...session, by]);
      const cancelled = await sql.run<{ id: string }>('run-cancel', statement.CANCEL_QUEUED, [...session, by]);
      return { run_id: running?.id ?? null, cancelled: cancelled.map((run) => run.id) };
    });
  }

  async expireAll(_system: SystemPrincipal): Promise<number> {
    return (await this.database.run('run-expire-all', statement.EXPIRE_ALL, [])).length;
  }

  /** The lease row must be locked by an earlier statement: only then does this one see every input that was accepted. */
  private async takeNext(sql: Sql, lease: Lease): Promise<TakenRun | null> {
    const [input] = await sql.run<{ run_id: string } & Row>('run-next-input', statement.NEXT_INPUT, holder(lease));
    if (!input) {
      await sql.run('run-release', statement.RELEASE, holder(lease));
      return null;
    }
    const [run] = await sql.run<Omit<TakenRun, 'messages'> & Row>('run-take', statement.TAKE, [
      ...holder(lease),
      input.run_id,
    ]);
    if (!run) return null;
    const rows = await sql.run<MessageRow & Row>('run-place', statement.PLACE_MESSAGES, [
      lease.tenant_id,
      lease.session_id,
      input.run_id,
      run.last_seq,
    ]);
    return { ...run, messages: toMessages(rows) };
  }

  private async duplicate({ tenant_id }: Principal, input: RunInput): Promise<Accepted> {
    const ids = input.messages.map((message: Msg) => message.id);
    const [row] = await this.database.run<{ run_id: string; status: RunStatus; role: string }>(
      'run-duplicate',
      statement.DUPLICATE,
      [tenant_id, input.session_id, ids],
    );
    return row?.role === 'user'
      ? { outcome: 'duplicate', run_id: row.run_id, status: row.status }
      : { outcome: 'id_taken' };
  }
}

const holder = (lease: Lease): unknown[] => [lease.tenant_id, lease.session_id, lease.token, lease.owner];

const stepValues = (step: Step): unknown[] => [
  step.reply_id,
  step.step,
  step.run_id,
  step.position,
  JSON.stringify(step.data),
];
