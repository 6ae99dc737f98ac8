import { type CallHandler, type ExecutionContext, Injectable, Logger, type NestInterceptor } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { from, type Observable, switchMap } from 'rxjs';
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
      switchMap((result: unknown) => {
        if (!(result instanceof SessionStream)) throw new Error('a stream route must return a SessionStream');
        return from(this.serve(result, request, reply));
      }),
    );
  }

  private async serve(stream: SessionStream, request: FastifyRequest, reply: FastifyReply): Promise<void> {
    const { session } = stream;
    const protocol = this.registry.choose(stream.protocol, request.headers.accept);
    const { controller, leave } = this.streams.enter(session.tenant_id, this.config.streams.max_per_tenant);
    const response = reply.raw;
    const onClose = () => controller.abort();
    response.once('close', onClose);
    const { headers } = request;
    const unwatch = this.identities.watch({ headers, body: undefined }, stream.principal, () => controller.abort());
    // A client that left while it was being identified is not heard to close any more.
    if (response.destroyed) controller.abort();
    reply.hijack();
    try {
      const encoder = protocol.encoder(session);
      response.writeHead(200, { ...headersOf(reply), ...streamHeaders(protocol) });
      response.write(protocol.preamble);
      await pump(this.chunks(stream, encoder, controller.signal), response, {
        heartbeat: () => encoder.heartbeat(),
        heartbeat_ms: this.config.streams.heartbeat_ms,
        signal: controller.signal,
      });
      if (controller.signal.aborted && !response.destroyed) response.write(encoder.goodbye());
      response.end();
    } catch (error) {
      if (error instanceof SlowReaderError) this.logger.warn({ session_id: session.id }, 'A slow stream was cut off');
      else this.logger.error({ err: error, session_id: session.id }, 'A stream broke off');
      response.destroy();
    } finally {
      response.off('close', onClose);
      unwatch();
      leave();
    }
  }

  private async *chunks(
    stream: SessionStream,
    encoder: StreamEncoder,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    const { session, after } = stream;
    const ref = { tenant_id: session.tenant_id, session_id: session.id };
    const followed = follow(this.log, ref, {
      after,
      committed: session.last_seq,
      live: session.is_running,
      signal,
      max_buffer: this.config.streams.buffer_bytes,
    });
    for await (const item of followed) {
      switch (item.type) {
        case 'batch':
          yield encoder.batch(item.batch);
          break;
        case 'gap':
          yield encoder.gap(item.up_to);
          break;
        case 'end':
          yield encoder.end();
          return;
      }
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
