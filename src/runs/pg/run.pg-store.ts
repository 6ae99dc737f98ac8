import { Injectable } from '@nestjs/common';
import type { Principal, SystemPrincipal } from '../../auth/principal.js';
import type { HintBlock } from '../../core/messages/block.js';
import { Database, type Row } from '../../platform/database/database.js';
import type { SessionRef } from '../../platform/redis/keys.js';
import type { MessageRow } from '../../sessions/transcript-rows.js';
import type { Answer, Answered, TurnedDown } from '../answers.js';
import type { Delivered, NewHint } from '../inbox.js';
import {
  RunStore,
  type Accepted,
  type Checkpoint,
  type CheckpointOutcome,
  type Claim,
  type ClaimOptions,
  type Finish,
  type FinishOutcome,
  type Lease,
  type Park,
  type Renewed,
  type RunInput,
  type SignalInput,
  type StopMode,
  type StopRequest,
  type Taker,
  type Work,
} from '../run.store.js';
import { CallAnswers } from './call-answers.js';
import { FIND } from './claim.sql.js';
import { Inbox } from './inbox.js';
import { InputAccepts } from './input-accepts.js';
import * as lease from './lease.sql.js';
import { LeaseWrites } from './lease-writes.js';
import { stop } from './open-runs.js';
import { takeWork } from './take-work.js';

@Injectable()
export class RunPgStore extends RunStore {
  private readonly inputs: InputAccepts;
  private readonly writes: LeaseWrites;
  private readonly answers: CallAnswers;
  private readonly inbox: Inbox;

  constructor(private readonly database: Database) {
    super();
    this.inputs = new InputAccepts(database);
    this.writes = new LeaseWrites(database);
    this.answers = new CallAnswers(database);
    this.inbox = new Inbox(database);
  }

  accept(principal: Principal, input: RunInput, taker: Taker, maxPending: number): Promise<Accepted> {
    return this.inputs.accept(principal, input, taker, maxPending);
  }

  answer(principal: Principal, sessionId: string, answer: Answer): Promise<Answered> {
    return this.answers.answer(principal, sessionId, answer);
  }

  turnDown(principal: Principal, sessionId: string, hint: HintBlock): Promise<TurnedDown> {
    return this.answers.turnDown(principal, sessionId, hint);
  }

  expireApprovals(_system: SystemPrincipal, limit: number): Promise<SessionRef[]> {
    return this.answers.expire(limit);
  }

  deliverHint(principal: Principal, sessionId: string, hint: NewHint): Promise<Delivered> {
    return this.inbox.hint(principal, sessionId, hint);
  }

  notify(principal: Principal, sessionId: string, name: string, value: Record<string, unknown>): Promise<Delivered> {
    return this.inbox.notify(principal, sessionId, name, value);
  }

  hints(held: Lease): Promise<SignalInput[]> {
    return this.inbox.hints(held);
  }

  wake(held: Lease, names: { run_id: string; reply_id: string }): Promise<Work | null> {
    return this.inbox.wake(held, names);
  }

  checkpoint(held: Lease, checkpoint: Checkpoint): Promise<CheckpointOutcome> {
    return this.writes.checkpoint(held, checkpoint);
  }

  finish(held: Lease, finish: Finish): Promise<FinishOutcome> {
    return this.writes.finish(held, finish);
  }

  park(held: Lease, park: Park): Promise<FinishOutcome> {
    return this.writes.park(held, park);
  }

  handOver(held: Lease, runId: string | null, lastSeq: number): Promise<boolean> {
    return this.writes.handOver(held, runId, lastSeq);
  }

  release(held: Lease, lastSeq: number, consumed: readonly string[]): Promise<FinishOutcome> {
    return this.writes.release(held, lastSeq, consumed);
  }

  next(held: Lease): Promise<Work | null> {
    return this.database.transaction(async (sql) => {
      const locked = await sql.run('run-lock-held', lease.LOCK_HELD, holder(held));
      if (locked.length === 0) return null;
      const [work] = await takeWork(sql, [held], held.owner, null);
      return work ?? null;
    });
  }

  claim(_system: SystemPrincipal, taker: Omit<Taker, 'has_slot'>, options: ClaimOptions): Promise<Claim[]> {
    return this.database.transaction(async (sql) => {
      const found = await sql.run<SessionRef & Row>('run-find', FIND, [options.limit]);
      if (found.length === 0) return [];
      return takeWork(sql, found, taker.owner, taker.lease_ms, options.outage, options.grace_ms);
    });
  }

  async renew(_system: SystemPrincipal, leases: readonly Lease[], leaseMs: number): Promise<Renewed[]> {
    return this.database.run<Renewed & Row>('run-renew', lease.RENEW, [...columns(leases), leaseMs]);
  }

  async stops(_system: SystemPrincipal, leases: readonly Lease[]): Promise<Renewed[]> {
    return this.database.run<Renewed & Row>('run-stops', lease.STOPS, columns(leases));
  }

  async steps({ tenant_id, session_id }: Lease, replyId: string): Promise<MessageRow[]> {
    return this.database.run<MessageRow & Row>('run-steps', lease.STEPS, [tenant_id, session_id, replyId]);
  }

  async exists({ tenant_id, session_id }: SessionRef): Promise<boolean> {
    const rows = await this.database.run('run-lease-exists', lease.LEASE_EXISTS, [tenant_id, session_id]);
    return rows.length > 0;
  }

  requestStop(principal: Principal, sessionId: string, mode: StopMode, runId?: string): Promise<StopRequest> {
    return this.database.transaction(async (sql) => {
      await sql.run('run-lock', lease.LOCK, [principal.tenant_id, sessionId]);
      return stop(sql, principal, sessionId, mode, runId);
    });
  }

  async expireAll(_system: SystemPrincipal): Promise<number> {
    return (await this.database.run('run-expire-all', lease.EXPIRE_ALL, [])).length;
  }
}

const holder = (held: Lease): unknown[] => [held.tenant_id, held.session_id, held.token, held.owner];

const columns = (leases: readonly Lease[]): unknown[] => [
  leases.map((held) => held.tenant_id),
  leases.map((held) => held.session_id),
  leases.map((held) => held.token),
  leases.map((held) => held.owner),
];
