import {
  Body,
  Controller,
  Delete,
  Get,
  Param,
  Patch,
  Post,
  Query,
  StreamableFile,
  UseInterceptors,
} from '@nestjs/common';
import { ApiTags } from '@nestjs/swagger';
import { Readable } from 'node:stream';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { WarningHeader } from '../platform/http/warning-header.js';
import {
  AgentHint,
  CreateSession,
  ForkSession,
  MessagePage,
  MessagesQuery,
  PatchSession,
  SessionCreated,
  SessionForked,
  SessionList,
  SessionListQuery,
  SessionPatched,
  SessionTasks,
  SessionView,
} from './session.schema.js';
import { SessionsService } from './sessions.service.js';

@ApiTags('sessions')
@Controller('sessions')
export class SessionsController {
  constructor(private readonly sessions: SessionsService) {}

  @Get()
  @Endpoint({
    summary: 'List your sessions, or search them by name and metadata',
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
    summary: 'Rename a session, change its models, permissions or metadata',
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

  @Post(':id/fork')
  @Endpoint({
    summary: 'Copy a session',
    description:
      'With its configuration, metadata, tasks, and the transcript up to a message, as they are committed at this moment. A reply that has not ended is interrupted in the copy.',
    policy: 'sessions:write',
    status: 201,
    response: SessionForked,
    errors: ['session_not_found', 'credential_not_found', 'session_exists'],
  })
  fork(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: AgentHint }) query: AgentHint,
    @Body({ schema: ForkSession }) body: ForkSession,
  ): Promise<SessionForked> {
    return this.sessions.fork(principal, id, body, query.agent_id);
  }

  @Get(':id/export')
  @Endpoint({
    summary: 'The whole session as lines of JSON',
    description:
      'First the record (`type: session`, with `as_of_seq`), then every message (`type: message`) oldest first, at last `type: end` with their number: without it the export is not complete.',
    policy: 'sessions:read',
    produces: 'application/x-ndjson',
    errors: ['session_not_found'],
  })
  async export(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: AgentHint }) query: AgentHint,
  ): Promise<StreamableFile> {
    const { session_id, lines } = await this.sessions.export(principal, id, query.agent_id);
    const disposition = `attachment; filename="session-${session_id}.ndjson"`;
    return new StreamableFile(Readable.from(lines), { type: 'application/x-ndjson', disposition });
  }

  @Get(':id/tasks')
  @Endpoint({
    summary: "The agent's plan",
    policy: 'sessions:read',
    response: SessionTasks,
    errors: ['session_not_found'],
  })
  tasks(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: AgentHint }) query: AgentHint,
  ): Promise<SessionTasks> {
    return this.sessions.tasks(principal, id, query.agent_id);
  }
}
