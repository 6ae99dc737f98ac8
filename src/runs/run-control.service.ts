import { Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { InterruptBackend } from '../interrupts/interrupt-backend.js';
import { AerieError, notFound } from '../platform/http/errors.js';
import type { SessionRef } from '../platform/redis/keys.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { Doorbell } from './doorbell.js';
import { RunNode } from './run-node.js';
import { RunRecordStore } from './run-record.store.js';
import type { Cancelled, Interrupted, StopRequestBody } from './run.schema.js';
import { type BusyPolicy, RunStore, type StopRequest } from './run.store.js';

/** Stops runs: the wish is on record before anybody is told, so that it holds whoever works on the run, and whatever happens to the signal. */
@Injectable()
export class RunControl {
  private readonly logger = new Logger(RunControl.name);

  constructor(
    private readonly store: RunStore,
    private readonly records: RunRecordStore,
    private readonly sessions: SessionsService,
    private readonly node: RunNode,
    private readonly doorbell: Doorbell,
    private readonly interrupts: InterruptBackend,
  ) {}

  /** Stops what a session is doing and cancels what waits in it. Nothing to stop is no error. */
  async interrupt(principal: Principal, sessionId: string, agentId?: string): Promise<Interrupted> {
    const session = await this.sessions.record(principal, sessionId, agentId);
    const stopped = await this.stop(principal, session.id);
    const was_running = stopped.run_id !== null || stopped.cancelled.length > 0;
    return { session_id: session.id, run_id: stopped.run_id, was_running };
  }

  /** Stops one run; no other of its session. One that has ended stays as it is. */
  async cancel(principal: Principal, runId: string): Promise<Cancelled> {
    const run = await this.records.get(principal, runId);
    if (!run) throw notFound('run', runId);
    const { run_id, status, cancelled } = await this.stop(principal, run.session_id, run.id);
    const asked = run_id !== null || cancelled.length > 0;
    const now = asked ? (status ?? 'cancelled') : ((await this.records.get(principal, runId))?.status ?? run.status);
    return { session_id: run.session_id, run_id: run.id, status: now, was_running: asked };
  }

  /** As `interrupt`, by the user's id; a session the user does not have is as good as an idle one. */
  async stopSession(principal: Principal, body: StopRequestBody): Promise<void> {
    if (body.user_id !== principal.user_id && !principal.may('act_as')) {
      throw new AerieError('forbidden', 'The user_id is not yours. To act for others you need the scope act_as.', {
        required_scope: 'act_as',
      });
    }
    try {
      await this.interrupt(principal.as(body.user_id), body.session_id);
    } catch (error) {
      if (!(error instanceof AerieError) || error.code !== 'session_not_found') throw error;
    }
  }

  /** Tells whoever works on the run; the stop is on record already. */
  signal(ref: SessionRef, runId: string, mode: BusyPolicy = 'interrupt'): void {
    const { tenant_id, session_id } = ref;
    const signal = { tenant_id, session_id, run_id: runId, mode: mode === 'rollback' ? mode : 'interrupt' } as const;
    this.node.stop(signal);
    this.interrupts
      .publish(signal)
      .catch((error: unknown) => this.logger.warn({ err: error }, 'A stop could not be signalled'));
  }

  private async stop(principal: Principal, sessionId: string, runId?: string): Promise<StopRequest> {
    const stopped = await this.store.requestStop(principal, sessionId, 'interrupt', runId);
    const ref = { tenant_id: principal.tenant_id, session_id: sessionId };
    if (stopped.run_id && stopped.status === 'running') this.signal(ref, stopped.run_id);
    // Parked runs are closed, and cancelled ones announced, by whoever claims the session.
    if (stopped.status === 'waiting' || stopped.cancelled.length > 0) {
      this.doorbell
        .ring()
        .catch((error: unknown) => this.logger.warn({ err: error }, 'The doorbell could not be rung'));
    }
    return stopped;
  }
}
