import { Injectable, Logger } from '@nestjs/common';
import { type Principal, requireScope } from '../auth/principal.js';
import { acceptInput, type InputMsg, type Msg } from '../core/messages/message.js';
import { Config } from '../platform/config/config.js';
import { AerieError, notFound } from '../platform/http/errors.js';
import { newId } from '../platform/ids.js';
import { SessionStore } from '../sessions/session.store.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { Answering, type GivenAnswer } from './answering.service.js';
import { toResults } from './answers.js';
import { Assembler, type Assembly } from './assembler.js';
import { Doorbell } from './doorbell.js';
import { RunControl } from './run-control.service.js';
import { RunNode } from './run-node.js';
import type { ChatAccepted, ChatRequest, ExternalExecutionInput, UserConfirmInput } from './run.schema.js';
import { type Accepted, type Blocking, RunStore, type RunInput } from './run.store.js';

/** How often input is prepared anew because the configuration changed meanwhile. */
const MAX_STALE = 3;

@Injectable()
export class RunsService {
  private readonly logger = new Logger(RunsService.name);

  constructor(
    private readonly config: Config,
    private readonly store: RunStore,
    private readonly sessions: SessionsService,
    private readonly transcripts: SessionStore,
    private readonly assembler: Assembler,
    private readonly answering: Answering,
    private readonly node: RunNode,
    private readonly doorbell: Doorbell,
    private readonly control: RunControl,
  ) {}

  /**
   * Puts input on record; the committed row is the promise that it will be worked on. Starts the run here when the session is free and
   * this process has a slot. A message sent twice under one id is accepted once, and answered with its run.
   */
  async submit(principal: Principal, request: ChatRequest): Promise<ChatAccepted> {
    const { input } = request;
    if (isAnswer(input)) {
      // What POST /approvals takes, this takes from the same callers only.
      if (input.type === 'USER_CONFIRM_RESULT') requireScope(principal, 'approvals:write');
      return this.answer(principal, request, input);
    }
    const messages = toMessages(input);
    const turned = request.on_pending === 'reject' ? await this.turnDown(principal, request, messages) : null;
    if (turned) return turned;
    for (let tries = 1; ; tries++) {
      const assembly = await this.assembler.prepare(principal, request.session_id, request.agent_id);
      if (messages.length === 0) await this.checkNotEmpty(principal, assembly.session.id);
      const accepted = await this.accept(principal, request, messages, assembly);
      if (accepted) return accepted;
      this.assembler.forget(principal, request.session_id);
      if (tries === MAX_STALE) {
        throw new AerieError('unavailable', 'The configuration changes too quickly.', undefined, {
          headers: { 'retry-after': '1' },
        });
      }
    }
  }

  /** Null when what was prepared is not the current configuration. */
  private async accept(
    principal: Principal,
    request: ChatRequest,
    messages: readonly Msg[],
    assembly: Assembly,
  ): Promise<ChatAccepted | null> {
    const { session } = assembly;
    const input: RunInput = {
      session_id: session.id,
      run_id: newId(),
      reply_id: newId(),
      messages,
      on_busy: request.on_busy,
      coalesce_ms: request.coalesce_ms,
      session_version: session.version,
      config_version: session.config_version,
      structured_schema: request.structured_schema ?? null,
    };
    const { taker, release } = this.node.reserve();
    const sentAt = performance.now();
    try {
      const accepted = await this.store.accept(principal, input, taker, this.config.runs.max_pending);
      if (accepted.outcome === 'taken') {
        const { run_id, reply_id } = input;
        const { token, last_seq, state } = accepted;
        const begun = { user_id: principal.user_id, attempt: 1, work_ms: 0, stop: null, open_calls: [] };
        const remembered = { state, state_before: null, structured_schema: input.structured_schema };
        const run = { run_id, reply_id, ...begun, messages, last_seq, ...remembered };
        const lease = { tenant_id: principal.tenant_id, session_id: session.id, owner: taker.owner, token };
        const work = { kind: 'next' as const, run, signals: [], last_seq, committed_seq: last_seq };
        this.node.begin(lease, work, sentAt, assembly);
      }
      return this.answerOf(principal, request, input, accepted);
    } finally {
      release();
    }
  }

  private answerOf(
    principal: Principal,
    request: ChatRequest,
    { session_id, run_id, coalesce_ms }: RunInput,
    accepted: Accepted,
  ): ChatAccepted | null {
    switch (accepted.outcome) {
      case 'taken':
        return { status: 'started', session_id, run_id };
      case 'queued': {
        const { stopped, blocked_by } = accepted;
        if (stopped) this.control.signal({ tenant_id: principal.tenant_id, session_id }, stopped, request.on_busy);
        this.ringAfter(coalesce_ms);
        const blocked = blocked_by ? { blocked_by: viewOf(blocked_by) } : {};
        return { status: 'queued', session_id, run_id, ...blocked, ...(stopped ? { stopped_run_id: stopped } : {}) };
      }
      case 'joined':
        return { status: 'queued', session_id, run_id: accepted.run_id };
      case 'duplicate': {
        const status = accepted.status === 'queued' ? 'queued' : 'started';
        return { status, session_id, run_id: accepted.run_id };
      }
      case 'id_taken':
        throw new AerieError('message_exists', 'The session has another message of this id.');
      case 'busy':
        throw busy(accepted.blocking);
      case 'full':
        throw new AerieError('too_many_pending_inputs', 'Too many messages wait in this session.', undefined, {
          headers: { 'retry-after': '1' },
        });
      case 'stale':
      case 'gone':
        // A kept session may be gone and its name may be another's now: asked again without what was kept, it is not found.
        return null;
    }
  }

  private async answer(
    principal: Principal,
    request: ChatRequest,
    input: ExternalExecutionInput | UserConfirmInput,
  ): Promise<ChatAccepted> {
    const session = await this.sessions.record(principal, request.session_id, request.agent_id);
    const answered = await this.answering.answer(principal, session.id, givenBy(input));
    switch (answered.outcome) {
      case 'resumed':
      case 'repeated':
        return { status: 'resumed', session_id: session.id, run_id: answered.run_id };
      case 'not_awaited':
        throw new AerieError('not_awaited', 'No run of this session waits for an answer to these calls.', {
          reply_id: input.reply_id,
          tool_call_ids: answered.tool_call_ids,
        });
      case 'gone':
        throw notFound('session', request.session_id);
    }
  }

  /** Null when no run waits: the messages go the way of all others. */
  private async turnDown(
    principal: Principal,
    request: ChatRequest,
    messages: readonly Msg[],
  ): Promise<ChatAccepted | null> {
    const [first] = messages;
    if (first === undefined) return null;
    const session = await this.sessions.record(principal, request.session_id, request.agent_id);
    const { id, created_at, finished_at } = first;
    const said = messages.flatMap(({ content }) => content.filter((it) => it.type === 'text' || it.type === 'data'));
    const source = JSON.stringify({ label: 'user' });
    const hint = { type: 'hint' as const, id, hint: said, source, created_at, finished_at };
    const turned = await this.answering.turnDown(principal, session.id, hint);
    if (turned.outcome === 'gone') throw notFound('session', request.session_id);
    return !('run_id' in turned) ? null : { status: 'resumed', session_id: session.id, run_id: turned.run_id };
  }

  private async checkNotEmpty(principal: Principal, sessionId: string): Promise<void> {
    const page = await this.transcripts.messages(principal, sessionId, 1);
    if (!page || page.messages.length === 0) {
      throw new AerieError('empty_input', 'There is nothing to answer: the conversation is empty and so is the input.');
    }
  }

  /** At once, or when messages that are being collected have become a turn; the reconciler covers for this process. */
  private ringAfter(ms: number): void {
    if (ms === 0) this.ring();
    else setTimeout(() => this.ring(), ms + 1).unref();
  }

  private ring(): void {
    this.doorbell.ring().catch((error: unknown) => this.logger.warn({ err: error }, 'The doorbell could not be rung'));
  }
}

const isAnswer = (input: ChatRequest['input']): input is ExternalExecutionInput | UserConfirmInput =>
  input !== null && 'type' in input;

function givenBy(input: ExternalExecutionInput | UserConfirmInput): GivenAnswer {
  const { reply_id } = input;
  if (input.type === 'EXTERNAL_EXECUTION_RESULT') return { reply_id, results: toResults(input), confirmations: [] };
  const confirmations = input.confirm_results.map(({ confirmed, tool_call, rules, comment }) => {
    const { id, name, input: text } = tool_call;
    return { tool_call_id: id, confirmed, tool_name: name, input: text, rules: rules ?? [], comment };
  });
  return { reply_id, results: [], confirmations };
}

function toMessages(input: InputMsg | InputMsg[] | null): Msg[] {
  const now = new Date().toISOString();
  return input === null ? [] : [input].flat().map((message) => acceptInput(message, newId, now));
}

const viewOf = ({ tool_call_ids, approval_ids, ...run }: Blocking) => ({
  ...run,
  tool_call_ids: [...tool_call_ids],
  approval_ids: [...approval_ids],
});

function busy(blocking: Blocking | null): AerieError {
  if (blocking?.status === 'waiting') {
    const { run_id, tool_call_ids, approval_ids } = blocking;
    return new AerieError('session_parked', 'The session waits for an answer to the calls of its last run.', {
      run_id,
      tool_call_ids,
      approval_ids,
    });
  }
  const details = { blocking_run_id: blocking?.run_id ?? null, status: blocking?.status ?? null };
  return new AerieError('session_busy', 'The session is at work.', details, { headers: { 'retry-after': '1' } });
}
