import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { Injectable } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { Config } from '../config/config.js';
import { errorBody, internalError, raisedByFastify } from './error.filter.js';
import { AerieError } from './errors.js';
import { checkListener, type ListenerPolicy } from './listener-guard.js';
import { RouteTable } from './route-table.js';

/** Answers of the API describe one caller's data at one moment. */
const NO_STORE = 'no-store';

/**
 * Puts the rules of the listener before everything else that sees a request, in whatever Nest application the service is mounted. Made
 * with the providers, which is before the first route is registered.
 */
@Injectable()
export class HttpListener {
  constructor({ httpAdapter }: HttpAdapterHost, config: Config, routes: RouteTable) {
    // No adapter: an application context without a listener.
    if (!httpAdapter) return;
    const instance = httpAdapter.getInstance<FastifyInstance>();
    routes.watch(instance);
    instance.addHook('onRequest', (request, reply, done) => {
      const refusal = open(config.http, request, reply);
      if (refusal) refuse(refusal, request, reply);
      else done();
    });
  }
}

/** Answers to a URL that Fastify cannot look a route up for; it asks neither hooks nor filters about it. */
export function addressRefusal(policy: ListenerPolicy) {
  return (error: FastifyError, request: FastifyRequest, reply: FastifyReply): void =>
    refuse(open(policy, request, reply) ?? raisedByFastify(error) ?? internalError(), request, reply);
}

function open(policy: ListenerPolicy, request: FastifyRequest, reply: FastifyReply): AerieError | null {
  void reply
    .header('x-request-id', request.id)
    .header('cache-control', NO_STORE)
    .header('x-content-type-options', 'nosniff');
  return checkListener(policy, request);
}

function refuse(error: AerieError, request: FastifyRequest, reply: FastifyReply): void {
  void reply.code(error.status).header('content-type', 'application/json; charset=utf-8');
  void reply.send(JSON.stringify(errorBody(error, request.id)));
}
