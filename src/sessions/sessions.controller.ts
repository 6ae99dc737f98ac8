import { Body, Controller, Delete, Get, Param, Patch, Post, Query, UseInterceptors } from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { WarningHeader } from '../platform/http/warning-header.js';
import {
  AgentHint,
  CreateSession,
  MessagePage,
  MessagesQuery,
  PatchSession,
  SessionCreated,
  SessionList,
  SessionListQuery,
  SessionPatched,
  SessionView,
} from './session.schema.js';
import { SessionsService } from './sessions.service.js';

@ApiTags('sessions')
@Controller('sessions')
export class SessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Get()
  @Endpoint({
    summary: 'List your sessions',
    policy: 'sessions:read',
    response: SessionList,
    errors: ['agent_not_found'],
  })
  async list(@Caller() principal: Principal, @Query({ schema: SessionListQuery }) query: SessionListQuery) {
    const { rows, ...page } = await this.sessions.list(principal, query);
    return { sessions: rows, ...page };
  }

  @Post()
  @UseInterceptors(WarningHeader)
  @Endpoint({
    summary: 'Open a session with an agent',
    policy: 'sessions:write',
    status: 201,
    response: SessionCreated,
    errors: ['agent_not_found', 'credential_not_found', 'session_exists'],
  })
  create(@Caller() principal: Principal, @Body({ schema: CreateSession }) body: CreateSession) {
    return this.sessions.create(principal, body);
  }

  @Get(':id')
  @Endpoint({ summary: 'Get a session', policy: 'sessions:read', response: SessionView, errors: ['session_not_found'] })
  get(@Caller() principal: Principal, @Param('id') id: string, @Query({ schema: AgentHint }) query: AgentHint) {
    return this.sessions.get(principal, id, query.agent_id);
  }

  @Patch(':id')
  @UseInterceptors(WarningHeader)
  @Endpoint({
    summary: 'Rename a session or change its models',
    description: 'A run at work keeps the models it started with.',
    policy: 'sessions:write',
    response: SessionPatched,
    errors: ['session_not_found', 'credential_not_found'],
  })
  update(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: AgentHint }) query: AgentHint,
    @Body({ schema: PatchSession }) body: PatchSession,
  ) {
    return this.sessions.update(principal, id, body, query.agent_id);
  }

  @Delete(':id')
  @Endpoint({
    summary: 'Delete a session',
    description: 'A run at work is stopped and the streams of the session end.',
    policy: 'sessions:write',
    status: 204,
    errors: ['session_not_found'],
  })
  async delete(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: AgentHint }) query: AgentHint,
  ): Promise<void> {
    await this.sessions.delete(principal, id, query.agent_id);
  }

  @Get(':id/messages')
  @Endpoint({
    summary: 'The transcript, newest page first',
    policy: 'sessions:read',
    response: MessagePage,
    errors: ['session_not_found'],
  })
  messages(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: MessagesQuery }) query: MessagesQuery,
  ): Promise<MessagePage> {
    return this.sessions.messages(principal, id, query);
  }
}
