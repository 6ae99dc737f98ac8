import { Body, Controller, Post, Query, Res } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import type { FastifyReply } from 'fastify';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { Config } from '../platform/config/config.js';
import { RunControl } from './run-control.service.js';
import { RunWaiter } from './run-waiter.js';
import { ChatAccepted, ChatQuery, ChatRequest, ChatResult } from './run.schema.js';
import { RunsService } from './runs.service.js';
import type { RunStatus } from './run.store.js';

const IN_PROGRESS: ReadonlySet<RunStatus> = new Set(['queued', 'running']);

@ApiTags('chat')
@Controller()
export class ChatController {
  constructor(
    private readonly config: Config,
    private readonly runs: RunsService,
    private readonly control: RunControl,
    private readonly waiter: RunWaiter,
  ) {}

  @Post('chat')
  @Endpoint({
    summary: 'Say something in a session',
    description:
      'Answers as soon as the input is on record. The reply comes on `GET /sessions/{id}/stream`; with `wait=true` in this answer, too. Confirmations need the scope `approvals:write` as well.',
    policy: 'runs:write',
    response: ChatAccepted.or(ChatResult),
    also: { 202: { response: ChatResult, description: 'With wait=true: time is up and the run goes on' } },
    errors: [
      'session_not_found',
      'agent_not_found',
      'credential_not_found',
      'credential_unreadable',
      'model_not_configured',
      'empty_input',
      'message_exists',
      'session_busy',
      'session_parked',
      'not_awaited',
      'confirmation_refused',
      'too_many_pending_inputs',
      'unavailable',
    ],
  })
  async chat(
    @Caller() principal: Principal,
    @Body({ schema: ChatRequest }) body: ChatRequest,
    @Query({ schema: ChatQuery }) query: ChatQuery,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<ChatAccepted | ChatResult> {
    if (!query.wait) return this.runs.submit(principal, body);
    const gone = new AbortController();
    const onClose = () => gone.abort();
    reply.raw.once('close', onClose);
    // A client that left while it was being identified is not heard to close any more.
    if (reply.raw.destroyed) onClose();
    try {
      const { session_id, run_id } = await this.runs.submit(principal, body);
      const session = { tenant_id: principal.tenant_id, session_id };
      const timeout_ms = Math.min(query.timeout_ms ?? Infinity, this.config.runs.wait_ms);
      const run = await this.waiter.wait(principal, session, run_id, { timeout_ms, signal: gone.signal });
      const inProgress = IN_PROGRESS.has(run.status) || run.goes_on;
      if (inProgress && gone.signal.aborted && body.on_disconnect === 'interrupt') {
        await this.control.cancel(principal, run_id);
      }
      if (inProgress) void reply.code(202);
      return { status: run.status, session_id, run_id, message: await this.waiter.reply(principal, run) };
    } finally {
      reply.raw.off('close', onClose);
    }
  }
}
