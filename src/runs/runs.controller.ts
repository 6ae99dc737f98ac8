import { Body, Controller, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { AgentHint } from '../sessions/session.schema.js';
import { ChatAccepted, ChatRequest, Interrupted } from './run.schema.js';
import { RunsService } from './runs.service.js';

@ApiTags('chat')
@Controller()
export class RunsController {
  constructor(private readonly runs: RunsService) {}

  @Post('chat')
  @Endpoint({
    summary: 'Say something in a session',
    description: 'Answers as soon as the input is on record. The reply comes on `GET /sessions/{id}/stream`.',
    policy: 'runs:write',
    response: ChatAccepted,
    errors: [
      'session_not_found',
      'agent_not_found',
      'credential_not_found',
      'credential_unreadable',
      'model_not_configured',
      'empty_input',
      'message_exists',
      'too_many_pending_inputs',
      'invalid_json',
      'payload_too_large',
      'unsupported_media_type',
    ],
  })
  chat(@Caller() principal: Principal, @Body({ schema: ChatRequest }) body: ChatRequest): Promise<ChatAccepted> {
    return this.runs.submit(principal, body);
  }

  @Post('sessions/:id/interrupt')
  @Endpoint({
    summary: 'Stop what a session is doing',
    description:
      'The reply ends as interrupted and keeps what it has; queued messages are cancelled. Idle is no error.',
    policy: 'runs:write',
    status: 202,
    response: Interrupted,
    errors: ['session_not_found'],
  })
  interrupt(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: AgentHint }) query: AgentHint,
  ): Promise<Interrupted> {
    return this.runs.interrupt(principal, id, query.agent_id);
  }
}
