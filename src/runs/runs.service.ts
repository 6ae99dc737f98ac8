import { Injectable, Logger } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { acceptInput, type InputMsg, type Msg } from '../core/messages/message.js';
import { InterruptBackend } from '../interrupts/interrupt-backend.js';
import { Config } from '../platform/config/config.js';
import { AerieError, notFound } from '../platform/http/errors.js';
import { newId } from '../platform/ids.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { SessionStore } from '../sessions/session.store.js';
import { Assembler, type Assembly } from './assembler.js';
import { Doorbell } from './doorbell.js';
import { RunNode } from './run-node.js';
import type { ChatAccepted, ChatRequest, Interrupted } from './run.schema.js';
import { RunStore, type RunInput, type Taker } from './run.store.js';

@Injectable()
export class RunsService {
  private readonly logger = new Logger(RunsService.name);

  constructor(
    private readonly config: Config,
    private readonly store: RunStore,
    private readonly sessions: SessionsService,
    private readonly transcripts: SessionStore,
    private readonly assembler: Assembler,
    private readonly node: RunNode,
    private readonly doorbell: Doorbell,
    private readonly interrupts: InterruptBackend,
  ) {}

  /**
   * Puts input on record; the committed row is the promise that it will be worked on. Starts the run here when the session is free and
   * this process has a slot. A message sent twice under one id is accepted once, and answered with its run.
   */
  async submit(principal: Principal, request: ChatRequest): Promise<ChatAccepted> {
    const session = await this.sessions.record(principal, request.session_id, request.agent_id);
    const assembly = await this.assembler.assemble(principal, session);
    const messages = toMessages(request.input);
    if (messages.length === 0) await this.checkNotEmpty(principal, session.id);
    const run_id = newId();
    const reply_id = newId();
    const { taker, release } = this.node.reserve();
    const sentAt = performance.now();
    const input = { session_id: session.id, run_id, reply_id, messages };
    try {
      return await this.accept(principal, request, input, { taker, sentAt, assembly });
    } finally {
      release();
    }
  }

  private async accept(
    principal: Principal,
    request: ChatRequest,
    input: RunInput,
    { taker, sentAt, assembly }: { taker: Taker; sentAt: number; assembly: Assembly },
  ): Promise<ChatAccepted> {
    const { session_id, run_id, reply_id, messages } = input;
    const accepted = await this.store.accept(principal, input, taker, this.config.runs.max_pending);
    switch (accepted.outcome) {
      case 'taken': {
        const { token, last_seq } = accepted;
        const lease = { tenant_id: principal.tenant_id, session_id, owner: taker.owner, token };
        const run = { run_id, reply_id, user_id: principal.user_id, messages, last_seq };
        this.node.begin(lease, { kind: 'next', run }, sentAt, assembly);
        return { status: 'started', session_id, run_id };
      }
      case 'queued':
        this.ring();
        return { status: 'queued', session_id, run_id };
      case 'duplicate': {
        const status = accepted.status === 'queued' ? 'queued' : 'started';
        return { status, session_id, run_id: accepted.run_id };
      }
      case 'id_taken':
        throw new AerieError('message_exists', 'The session has another message of this id.');
      case 'full':
        throw new AerieError('too_many_pending_inputs', 'Too many messages wait in this session.', undefined, {
          headers: { 'retry-after': '1' },
        });
      case 'gone':
        throw notFound('session', request.session_id);
    }
  }

  /** Stops what a session is doing and cancels what waits in it. Nothing to stop is no error. */
  async interrupt(principal: Principal, sessionId: string, agentId?: string): Promise<Interrupted> {
    const session = await this.sessions.record(principal, sessionId, agentId);
    const { run_id, cancelled } = await this.store.requestStop(principal, session.id, principal.user_id);
    if (run_id) {
      const signal = { tenant_id: principal.tenant_id, session_id: session.id, run_id };
      this.node.stop(signal);
      await this.interrupts.publish(signal);
    }
    return { session_id: session.id, run_id, was_running: run_id !== null || cancelled.length > 0 };
  }

  private async checkNotEmpty(principal: Principal, sessionId: string): Promise<void> {
    const page = await this.transcripts.messages(principal, sessionId, 1);
    if (!page || page.messages.length === 0) {
      throw new AerieError('empty_input', 'There is nothing to answer: the conversation is empty and so is the input.');
    }
  }

  private ring(): void {
    this.doorbell.ring().catch((error: unknown) => this.logger.warn({ err: error }, 'The doorbell could not be rung'));
  }
}

function toMessages(input: InputMsg | InputMsg[] | null): Msg[] {
  const now = new Date().toISOString();
  return input === null ? [] : [input].flat().map((message) => acceptInput(message, newId, now));
}
