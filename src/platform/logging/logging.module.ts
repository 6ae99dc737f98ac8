import { type DynamicModule, RequestMethod } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { LoggerModule } from 'nestjs-pino';
import { Config } from '../config/config.js';
import { requestId, traceOf } from '../http/request-context.js';

/** Header and field names whose values never reach a log line. */
const REDACTED = [
  'req.headers.authorization',
  'req.headers.cookie',
  'req.headers["x-api-key"]',
  'req.headers["api-key"]',
  'req.headers["x-aerie-proxy-secret"]',
  'req.headers["proxy-authorization"]',
  'res.headers["set-cookie"]',
  ...['api_key', 'apiKey', 'password', 'secret', 'token', 'authorization'].flatMap((name) => [
    name,
    `*.${name}`,
    `*.*.${name}`,
  ]),
];

/** A middleware may see the rest of the URL below where it is mounted. */
type Mounted = IncomingMessage & { originalUrl?: string };

interface LoggedError {
  type: string;
  message: string;
  stack: string;
  code?: unknown;
}

/** Levels at which requests are logged. */
const REQUEST_LEVELS = new Set(['trace', 'debug', 'info']);

const QUIET = new Set(['/readiness', '/liveness', '/health']);

/** Structured request and service logs on standard output. */
export function loggingModule(): DynamicModule {
  return LoggerModule.forRootAsync({
    inject: [Config],
    useFactory: (config: Config) => ({
      // The default pattern of the library matches nothing on Fastify. A logger per request is only made when its lines are wanted.
      forRoutes: REQUEST_LEVELS.has(config.log_level)
        ? ['/', '*path'].map((path) => ({ path, method: RequestMethod.ALL }))
        : [],
      pinoHttp: {
        level: config.log_level,
        base: { pid: process.pid },
        // Lines of a request carry its id; only the last one tells the request.
        quietReqLogger: true,
        customAttributeKeys: { reqId: 'request_id' },
        redact: { paths: REDACTED, censor: '[redacted]' },
        // Fastify gave the request its id already, which is the one that the response names.
        genReqId: (request: IncomingMessage) => request.id ?? requestId(request),
        customProps: (request: IncomingMessage) => traceOf(request) ?? {},
        customLogLevel: (_request, reply, error) => (error || reply.statusCode >= 500 ? 'error' : 'info'),
        autoLogging: { ignore: (request: Mounted) => QUIET.has(request.originalUrl ?? request.url ?? '') },
        serializers: {
          // What else hangs on an error may be a tenant's: a statement's parameters, a provider's request.
          err: ({ type, message, stack, code }: LoggedError) => ({ type, message, stack, code }),
          req: (request: { id: string; method: string; url: string; headers: Record<string, unknown> }) => ({
            id: request.id,
            method: request.method,
            url: request.url,
            headers: request.headers,
          }),
        },
      },
    }),
  });
}
