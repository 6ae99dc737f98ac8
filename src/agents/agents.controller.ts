import { Body, Controller, Delete, Get, Param, Patch, Post, Query, UseInterceptors } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { WarningHeader } from '../platform/http/warning-header.js';
import { ListQuery } from '../platform/http/wire.js';
import { AgentCreated, AgentList, AgentPatched, AgentView, CreateAgent, PatchAgent } from './agent.schema.js';
import { AgentsService } from './agents.service.js';

@ApiTags('agents')
@Controller('agent')
export class AgentsController {
  constructor(private readonly agents: AgentsService) {}

  @Get()
  @Endpoint({ summary: 'List your agents', policy: 'agents:read', response: AgentList })
  async list(@Caller() principal: Principal, @Query({ schema: ListQuery }) query: ListQuery) {
    const { rows, ...page } = await this.agents.list(principal, query);
    return { agents: rows, ...page };
  }

  @Post()
  @UseInterceptors(WarningHeader)
  @Endpoint({
    summary: 'Create an agent',
    policy: 'agents:write',
    status: 201,
    response: AgentCreated,
    errors: ['credential_not_found'],
  })
  create(@Caller() principal: Principal, @Body({ schema: CreateAgent }) body: CreateAgent) {
    return this.agents.create(principal, body);
  }

  @Get(':id')
  @Endpoint({ summary: 'Get an agent', policy: 'agents:read', response: AgentView, errors: ['agent_not_found'] })
  get(@Caller() principal: Principal, @Param('id') id: string) {
    return this.agents.get(principal, id);
  }

  @Patch(':id')
  @UseInterceptors(WarningHeader)
  @Endpoint({
    summary: 'Change an agent',
    policy: 'agents:write',
    response: AgentPatched,
    errors: ['agent_not_found', 'credential_not_found'],
  })
  update(@Caller() principal: Principal, @Param('id') id: string, @Body({ schema: PatchAgent }) body: PatchAgent) {
    return this.agents.update(principal, id, body);
  }

  @Delete(':id')
  @Endpoint({
    summary: 'Delete an agent and its sessions',
    policy: 'agents:write',
    status: 204,
    errors: ['agent_not_found'],
  })
  async delete(@Caller() principal: Principal, @Param('id') id: string): Promise<void> {
    await this.agents.delete(principal, id);
  }
}
