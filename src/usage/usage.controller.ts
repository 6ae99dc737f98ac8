import { Controller, Get, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { UsageQuery, UsageReport } from './usage.schema.js';
import { UsageService } from './usage.service.js';

@ApiTags('usage')
@Controller('usage')
export class UsageController {
  constructor(private readonly usage: UsageService) {}

  @Get()
  @Endpoint({
    summary: 'What model calls used and cost',
    description:
      'Tokens, calls and costs, summed by up to three dimensions. Exact at any moment: a call counts as soon as its run has put it on record, which is before the event that follows it is shown.',
    policy: 'usage:read',
    response: UsageReport,
  })
  report(@Caller() principal: Principal, @Query({ schema: UsageQuery }) query: UsageQuery): Promise<UsageReport> {
    return this.usage.report(principal, query);
  }
}
