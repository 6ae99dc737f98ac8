import { type CallHandler, type ExecutionContext, Injectable, Logger, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ServerResponse } from 'node:http';
import { map, type Observable } from 'rxjs';
import { IdentityService } from '../auth/identity.service.js';
import { EventLog } from '../events/event-log.js';
import { follow, SlowReaderError } from '../events/follow.js';
import { Config } from '../platform/config/config.js';
import { ProtocolRegistry } from './protocol-registry.js';
import { SessionStream, type StreamEncoder, type StreamProtocol } from './protocol.js';
import { pump } from './stream-pump.js';
import { Streams } from './streams.js';

/**
 * Serves what a stream route returns in the protocol the client asked for: follows the log, encodes, and hands the bytes to the raw
 * response. Everything that can be refused is refused before the first byte, as an ordinary error.
 */
@Injectable()
export class ProtocolInterceptor implements NestInterceptor {
  private readonly logger = new Logger(ProtocolInterceptor.name);

  constructor(
    private readonly registry: ProtocolRegistry,
    private readonly log: EventLog,
    private readonly streams: Streams,
    private readonly identities: IdentityService,
    private readonly config: Config,
  ) {}

  intercept(context: ExecutionContext, next: CallHandler): Observable<unknown> {
    const http = context.switchToHttp();
    const request = http.getRequest<FastifyRequest>();
    const reply = http.getResponse<FastifyReply>();
    return next.handle().pipe(
      map((result: unknown) => {
        if (!(result instanceof SessionStream)) throw new Error('a stream route must return a SessionStream');
        this.open(result, request, reply);
      }),
    );
  }

  /** Answers, and lets go of the request: what the framework keeps for one would stay as long as the stream, many times its size. */
  private open(stream: SessionStream, request: FastifyRequest, reply: FastifyReply): void {
    const { session, principal } = stream;
    const protocol = this.registry.choose(stream.protocol, request.headers.accept);
    const { controller, leave } = this.streams.enter(session.tenant_id, this.config.streams.max_per_tenant);
    const { headers } = request;
    const response = reply.raw;
    const unwatch = this.identities.watch({ headers, body: undefined }, principal, () => controller.abort());
    reply.hijack();
    // A client that left while it was being identified is not heard to close any more.
    if (response.destroyed) controller.abort();
    response.once('close', () => controller.abort());
    response.writeHead(200, { ...headersOf(reply), ...streamHeaders(protocol) });
    response.write(protocol.preamble);
    void this.serve(stream, protocol.encoder(session), response, controller.signal).finally(() => {
      unwatch();
      leave();
    });
  }

  private async serve(
    { session, after }: SessionStream,
    encoder: StreamEncoder,
    response: ServerResponse,
    signal: AbortSignal,
  ): Promise<void> {
    const { heartbeat_ms, buffer_bytes } = this.config.streams;
    const followed = follow(
      this.log,
      { tenant_id: session.tenant_id, session_id: session.id },
      { after, committed: session.last_seq, live: session.is_running, signal, max_buffer: buffer_bytes },
    );
    try {
      await pump(followed, encoder, response, { heartbeat_ms, signal });
      if (signal.aborted && !response.destroyed) response.write(encoder.goodbye());
      response.end();
    } catch (error) {
      if (error instanceof SlowReaderError) this.logger.warn({ session_id: session.id }, 'A slow stream was cut off');
      else this.logger.error({ err: error, session_id: session.id }, 'A stream broke off');
      response.destroy();
    }
  }
}

function streamHeaders(protocol: StreamProtocol) {
  return {
    'content-type': protocol.contentType,
    'cache-control': 'no-cache, no-transform',
    'x-accel-buffering': 'no',
    'x-content-type-options': 'nosniff',
    connection: 'keep-alive',
  };
}

/** What hooks have set so far (request id, CORS), which a hijacked reply would lose. */
function headersOf(reply: FastifyReply): Record<string, string | string[]> {
  const headers = Object.entries(reply.getHeaders()).filter(([, value]) => value !== undefined);
  return Object.fromEntries(headers.map(([name, value]) => [name, Array.isArray(value) ? value : String(value)]));
}
