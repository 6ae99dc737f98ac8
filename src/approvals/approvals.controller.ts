import { Body, Controller, Get, Param, Post, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { ApprovalList, ApprovalListQuery, ApprovalView, Decide, DecidedMany, DecideMany } from './approval.schema.js';
import { ApprovalsService } from './approvals.service.js';

@ApiTags('approvals')
@Controller('approvals')
export class ApprovalsController {
  constructor(private readonly approvals: ApprovalsService) {}

  @Get()
  @Endpoint({
    summary: 'What is and was asked of you, in all your sessions, newest first',
    policy: 'approvals:read',
    response: ApprovalList,
    errors: ['session_not_found'],
  })
  async list(@Caller() principal: Principal, @Query({ schema: ApprovalListQuery }) query: ApprovalListQuery) {
    const { rows, ...page } = await this.approvals.list(principal, query);
    return { approvals: rows, ...page };
  }

  @Post('batch')
  @Endpoint({
    summary: 'Decide several calls, each by itself',
    policy: 'approvals:write',
    response: DecidedMany,
  })
  decideMany(@Caller() principal: Principal, @Body({ schema: DecideMany }) body: DecideMany): Promise<DecidedMany> {
    return this.approvals.decideMany(principal, body);
  }

  @Get(':id')
  @Endpoint({
    summary: 'Get one call that was asked about',
    policy: 'approvals:read',
    response: ApprovalView,
    errors: ['approval_not_found'],
  })
  get(@Caller() principal: Principal, @Param('id') id: string): Promise<ApprovalView> {
    return this.approvals.get(principal, id);
  }

  @Post(':id')
  @Endpoint({
    summary: 'Let a call run, or turn it down',
    description:
      'The same decision may be sent again, to any node. A call of kind external can only be turned down here: its result is given by POST /chat.',
    policy: 'approvals:write',
    response: ApprovalView,
    errors: [
      'approval_not_found',
      'approval_decided',
      'approval_closed',
      'confirmation_refused',
      'agent_not_found',
      'credential_not_found',
      'credential_unreadable',
      'model_not_configured',
    ],
  })
  decide(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Body({ schema: Decide }) body: Decide,
  ): Promise<ApprovalView> {
    return this.approvals.decide(principal, id, body);
  }
}
