import type { FastifyError, FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { errorBody, internalError, raisedByFastify } from './error.filter.js';
import { AerieError } from './errors.js';
import { checkListener, type ListenerPolicy } from './listener-guard.js';

/** Answers of the API describe one caller's data at one moment. */
const NO_STORE = 'no-store';

/** The rules of the listener, before anything else sees a request. JSON is the only kind of body. */
export function guardListener(instance: FastifyInstance, policy: ListenerPolicy): void {
  instance.removeContentTypeParser('text/plain');
  instance.addHook('onRequest', (request, reply, done) => {
    const refusal = open(policy, request, reply);
    if (refusal) refuse(refusal, request, reply);
    else done();
  });
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
