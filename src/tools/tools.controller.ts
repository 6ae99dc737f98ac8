import { Controller, Get, Param, Query } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import type { ToolStanding } from '../core/agent/toolkit.js';
import { AgentHint } from '../sessions/session.schema.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { SessionTools, type ToolView } from './tool.schema.js';
import { ToolsService } from './tools.service.js';

@ApiTags('sessions')
@Controller('sessions')
export class ToolsController {
  constructor(
    private readonly sessions: SessionsService,
    private readonly tools: ToolsService,
  ) {}

  @Get(':id/tools')
  @Endpoint({
    summary: 'The tools the agent has in a session',
    policy: 'sessions:read',
    response: SessionTools,
    errors: ['session_not_found'],
  })
  async list(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: AgentHint }) query: AgentHint,
  ): Promise<SessionTools> {
    const session = await this.sessions.record(principal, id, query.agent_id);
    const { tools_context } = await this.sessions.state(principal, session.id);
    const request = { principal, agent_id: session.agent_id, session_id: session.id };
    const { toolkit, middleware } = await this.tools.equip(request, session.config.disabled_tools);
    const all = toolkit.with(middleware.flatMap((layer) => layer.listTools?.() ?? []));
    return { tools: all.standings(tools_context).map(toView) };
  }
}

function toView({ tool, group, is_enabled, is_active }: ToolStanding): ToolView {
  const { name, description, input_schema, is_read_only, is_concurrency_safe, is_idempotent } = tool;
  return {
    name,
    description,
    input_schema,
    group,
    is_enabled,
    is_active,
    is_read_only,
    is_concurrency_safe,
    is_idempotent,
    is_external: tool.is_external === true,
    starts_work: tool.starts_work === true,
  };
}
