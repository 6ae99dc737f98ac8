import { applyDecorators, HttpCode } from '@nestjs/common';
import { ROUTE_ARGS_METADATA, RouteParamtypes } from '@nestjs/common/internal';
import { ApiOperation, ApiResponse, ApiSecurity } from '@nestjs/swagger';
import type { z } from 'zod';
import { ERROR_STATUS, type ErrorCode } from '../platform/http/errors.js';
import { Problem } from '../platform/http/wire.js';
import { Policy, Public } from './policy.js';
import type { Scope } from './principal.js';

export interface EndpointOptions {
  readonly summary: string;
  readonly description?: string;
  readonly policy: Scope | 'public';
  readonly status?: number;
  /** Shape of the answer; absent for 204. */
  readonly response?: z.ZodType;
  /** Another answer it may give, by status. */
  readonly also?: Readonly<Record<number, { response: z.ZodType; description: string }>>;
  /** Media type of an answer that is not JSON. */
  readonly produces?: string;
  readonly errors?: readonly ErrorCode[];
}

const ALWAYS: readonly ErrorCode[] = ['host_not_allowed', 'origin_not_allowed', 'internal_error'];
const AUTHENTICATED: readonly ErrorCode[] = ['validation_failed', 'unauthenticated', 'forbidden'];
const WITH_BODY: readonly ErrorCode[] = ['invalid_json', 'payload_too_large', 'unsupported_media_type'];

/** One route's policy, status and documentation, with the codes it may answer. */
export function Endpoint(options: EndpointOptions): MethodDecorator {
  return (target, key, descriptor) => decorate(options, takesBody(target, key))(target, key, descriptor);
}

function decorate(options: EndpointOptions, hasBody: boolean): MethodDecorator {
  const isPublic = options.policy === 'public';
  const status = options.status ?? 200;
  const codes = [
    ...ALWAYS,
    ...(isPublic ? [] : AUTHENTICATED),
    ...(hasBody ? WITH_BODY : []),
    ...(options.errors ?? []),
  ];
  const byStatus = Map.groupBy(codes, (code) => ERROR_STATUS[code]);
  return applyDecorators(
    options.policy === 'public' ? Public() : Policy(options.policy),
    HttpCode(status),
    ApiOperation({ summary: options.summary, description: options.description }),
    ApiResponse({
      status,
      description: 'Success',
      ...(options.produces
        ? { content: { [options.produces]: { schema: { type: 'string' } } } }
        : { standardSchema: options.response as never }),
    }),
    ...Object.entries(options.also ?? {}).map(([code, { response, description }]) =>
      ApiResponse({ status: Number(code), description, standardSchema: response as never }),
    ),
    ...[...byStatus].map(([code, names]) =>
      ApiResponse({ status: code, description: [...new Set(names)].join(', '), standardSchema: Problem as never }),
    ),
    ...(isPublic ? [] : [ApiSecurity('user'), ApiSecurity('jwt')]),
  );
}

/** Decorators of parameters come before those of their method. */
function takesBody(target: object, key: string | symbol): boolean {
  const parameters = (Reflect.getMetadata(ROUTE_ARGS_METADATA, target.constructor, key) ?? {}) as object;
  return Object.keys(parameters).some((name) => name.startsWith(`${RouteParamtypes.BODY}:`));
}
