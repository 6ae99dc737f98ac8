import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { AgentHint } from '../sessions/session.schema.js';
import { RunControl } from './run-control.service.js';
import { RunRecords } from './run-records.service.js';
import {
  Cancelled,
  Interrupted,
  RunExplained,
  RunList,
  RunListQuery,
  RunView,
  SessionStatusView,
  Stopped,
  StopRequestBody,
} from './run.schema.js';

@ApiTags('runs')
@Controller()
export class RunsController {
  constructor(
    private readonly control: RunControl,
    private readonly records: RunRecords,
  ) {}

  @Get('sessions/:id/runs')
  @Endpoint({
    summary: 'The runs of a session, newest first',
    policy: 'runs:read',
    response: RunList,
    errors: ['session_not_found'],
  })
  async list(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: RunListQuery }) query: RunListQuery,
  ) {
    const { rows, ...page } = await this.records.list(principal, id, query);
    return { runs: rows, ...page };
  }

  @Get('sessions/:id/status')
  @Endpoint({
    summary: 'What a session is doing',
    description: 'At work comes before parked, parked before idle.',
    policy: 'sessions:read',
    response: SessionStatusView,
    errors: ['session_not_found'],
  })
  status(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: AgentHint }) query: AgentHint,
  ): Promise<SessionStatusView> {
    return this.records.status(principal, id, query.agent_id);
  }

  @Post('sessions/:id/interrupt')
  @Endpoint({
    summary: 'Stop what a session is doing',
    description:
      'The reply ends as interrupted and keeps what it has; queued messages are cancelled. Idle is no error. The stop holds once this is answered: a run that was reported as running does not complete.',
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
    return this.control.interrupt(principal, id, query.agent_id);
  }

  @Post('stop')
  @Endpoint({
    summary: "Stop a user's session, as AgentApp does",
    description:
      'Success also when the session is idle or unknown. The user_id must be the caller, or the caller holds the scope `act_as`.',
    policy: 'runs:write',
    response: Stopped,
  })
  async stop(
    @Caller() principal: Principal,
    @Body({ schema: StopRequestBody }) body: StopRequestBody,
  ): Promise<Stopped> {
    await this.control.stopSession(principal, body);
    return { status: 'success', message: 'Interrupt signal broadcasted.' };
  }

  @Get('runs/:id')
  @Endpoint({ summary: 'Get a run', policy: 'runs:read', response: RunView, errors: ['run_not_found'] })
  get(@Caller() principal: Principal, @Param('id') id: string): Promise<RunView> {
    return this.records.get(principal, id);
  }

  @Get('runs/:id/explain')
  @Endpoint({
    summary: 'What happened to a run',
    description:
      'When it was accepted, which node claimed it under which lease, its steps and tool calls, crashes, hand-overs and stop requests, and how it ended.',
    policy: 'runs:read',
    response: RunExplained,
    errors: ['run_not_found'],
  })
  explain(@Caller() principal: Principal, @Param('id') id: string): Promise<RunExplained> {
    return this.records.explain(principal, id);
  }

  @Post('runs/:id/cancel')
  @Endpoint({
    summary: 'Stop one run',
    description:
      'A queued run is cancelled, one at work or parked ends as interrupted; no other run of the session is touched. A run that has ended stays as it is.',
    policy: 'runs:write',
    status: 202,
    response: Cancelled,
    errors: ['run_not_found'],
  })
  cancel(@Caller() principal: Principal, @Param('id') id: string): Promise<Cancelled> {
    return this.control.cancel(principal, id);
  }
}
