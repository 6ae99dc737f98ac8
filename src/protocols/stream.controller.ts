import { Controller, Get, Headers, Param, Query, Res, UseInterceptors } from '@nestjs/common';
import { ApiHeader, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { Endpoint } from '../auth/endpoint.decorator.js';
import { Caller } from '../auth/policy.js';
import { Principal } from '../auth/principal.js';
import { invalid } from '../platform/http/errors.js';
import { AgentHint } from '../sessions/session.schema.js';
import type { SessionRecord } from '../sessions/session.store.js';
import { SessionsService } from '../sessions/sessions.service.js';
import { ProtocolInterceptor } from './protocol.interceptor.js';
import { SessionStream } from './protocol.js';

const StreamQuery = z.object({
  ...AgentHint.shape,
  after: z
    .string()
    .max(20)
    .optional()
    .describe(
      'Events numbered above this: an `id` you have seen, `as_of_seq` of the messages, `0` for all that is kept, `latest` for new ones only. Without it the stream begins with the current reply, or the last one.',
    ),
  protocol: z
    .string()
    .max(64)
    .optional()
    .describe('Protocol of the stream; by `Accept` when absent, `native` by default'),
});
type StreamQuery = z.infer<typeof StreamQuery>;

@ApiTags('chat')
@Controller('sessions')
export class StreamController {
  constructor(private readonly sessions: SessionsService) {}

  @Get(':id/stream')
  @UseInterceptors(ProtocolInterceptor)
  @ApiHeader({
    name: 'Last-Event-ID',
    required: false,
    description: 'Sent by a browser that reconnects; wins over `after`',
  })
  @Endpoint({
    summary: 'The events of a session',
    description:
      'Replays what is above the cursor and goes on live, over all runs, until the session is deleted or the identity of the caller expires. Each frame has `id: <seq>` and one event as `data`.',
    policy: 'sessions:read',
    produces: 'text/event-stream',
    errors: ['session_not_found', 'not_acceptable', 'too_many_streams'],
  })
  async stream(
    @Caller() principal: Principal,
    @Param('id') id: string,
    @Query({ schema: StreamQuery }) query: StreamQuery,
    @Headers('last-event-id') lastEventId: string | undefined,
    // Marks the response as written by hand: the interceptor streams it.
    @Res() _reply: unknown,
  ): Promise<SessionStream> {
    const session = await this.sessions.record(principal, id, query.agent_id);
    const after = lastEventId ? cursor('Last-Event-ID', lastEventId, session) : cursor('after', query.after, session);
    return new SessionStream(principal, session, after, query.protocol);
  }
}

function cursor(name: string, value: string | undefined, session: SessionRecord): number {
  if (value === undefined || value === '') return session.reply_seq;
  if (value === 'latest' && name === 'after') return session.last_seq;
  const seq = Number(value);
  if (!/^\d{1,16}$/.test(value) || !Number.isSafeInteger(seq)) throw invalid(name, 'must be the id of an event');
  return seq;
}
