import { type ArgumentsHost, Catch, type ExceptionFilter, HttpException, Logger } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { missingCredential } from '../database/failures.js';
import { AerieError, type ErrorCode, notFound } from './errors.js';
import { RouteTable } from './route-table.js';

/** The body of every error of the native API. */
export interface ErrorBody {
  error: { code: ErrorCode; message: string; details?: unknown };
  request_id: string;
}

/** Codes for errors that Fastify or Nest raise before a handler runs. */
const BY_STATUS: Partial<Record<number, ErrorCode>> = {
  400: 'bad_request',
  401: 'unauthenticated',
  403: 'forbidden',
  404: 'not_found',
  405: 'method_not_allowed',
  406: 'not_acceptable',
  409: 'conflict',
  413: 'payload_too_large',
  414: 'uri_too_long',
  415: 'unsupported_media_type',
  503: 'unavailable',
};

const BY_FASTIFY_CODE: Record<string, [ErrorCode, string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['payload_too_large', 'The request body is larger than this service accepts.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: ['unsupported_media_type', 'Send the body as application/json.'],
  FST_ERR_CTP_INVALID_JSON_BODY: ['invalid_json', 'The request body is not valid JSON.'],
  FST_ERR_CTP_EMPTY_JSON_BODY: ['invalid_json', 'The request body is empty.'],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: ['bad_request', 'The Content-Length does not match the body.'],
  FST_ERR_BAD_URL: ['bad_request', 'The URL is malformed.'],
  FST_ERR_MAX_PARAM_LENGTH: ['uri_too_long', 'A part of the URL is too long.'],
};

/** The one way from an exception to the wire. What is not an error for the client becomes `internal_error` and is logged in full. */
@Catch()
export class ErrorFilter implements ExceptionFilter {
  private readonly logger = new Logger(ErrorFilter.name);

  constructor(private readonly routes: RouteTable) {}

  catch(exception: unknown, host: ArgumentsHost): void {
    const request = host.switchToHttp().getRequest<FastifyRequest>();
    const reply = host.switchToHttp().getResponse<FastifyReply>();
    const error = this.toClientError(exception, request);
    if (error.status >= 500) {
      this.logger.error({ err: exception, request_id: request.id, code: error.code }, 'Request failed');
    }
    if (reply.sent || reply.raw.headersSent) {
      reply.raw.destroy();
      return;
    }
    void reply
      .code(error.status)
      .headers({ 'content-type': 'application/json; charset=utf-8', ...error.options.headers })
      .send(JSON.stringify(errorBody(error, request.id)));
  }

  private toClientError(exception: unknown, request: FastifyRequest): AerieError {
    if (exception instanceof AerieError) return exception;
    const missing = missingCredential(exception);
    if (missing !== undefined) return notFound('credential', missing);
    // Nest hands Fastify's errors on as an HttpException that has the original as its cause.
    const original = exception instanceof HttpException ? exception.cause : exception;
    const known = raisedByFastify(original);
    if (known) return known;
    const status = exception instanceof HttpException ? exception.getStatus() : undefined;
    if (status === 404) return this.unrouted(request);
    const mapped = typeof status === 'number' ? BY_STATUS[status] : undefined;
    if (mapped) return new AerieError(mapped, (exception as Error).message);
    return internalError();
  }

  private unrouted(request: FastifyRequest): AerieError {
    const allowed = this.routes.methodsOf(request.url);
    if (allowed.length === 0) return new AerieError('not_found', 'There is no such route.');
    return new AerieError('method_not_allowed', `This route answers ${allowed.join(', ')}.`, undefined, {
      headers: { allow: allowed.join(', ') },
    });
  }
}

/** The error of ours for one that Fastify raised by itself. */
export function raisedByFastify(error: unknown): AerieError | undefined {
  const code = (error as { code?: unknown } | null | undefined)?.code;
  const known = typeof code === 'string' ? BY_FASTIFY_CODE[code] : undefined;
  return known && new AerieError(...known);
}

export function internalError(): AerieError {
  return new AerieError('internal_error', 'The service failed to answer this request.');
}

export function errorBody(error: AerieError, requestId: string): ErrorBody {
  const details = error.details === undefined ? {} : { details: error.details };
  return { error: { code: error.code, message: error.message, ...details }, request_id: requestId };
}
