import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';

const REQUEST_ID = /^[\w.:/+=@-]{1,128}$/;
const TRACEPARENT = /^[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}$/;

/** The caller's `x-request-id` when it is well-formed, else a new one. */
export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && REQUEST_ID.test(given) ? given : randomUUID();
}

/** Trace and parent span of a W3C `traceparent` header, for the log; undefined when absent or malformed. */
export function traceOf(
  request: Pick<IncomingMessage, 'headers'>,
): { trace_id: string; parent_id: string } | undefined {
  const header = request.headers.traceparent;
  const match = typeof header === 'string' ? TRACEPARENT.exec(header) : null;
  const [, trace_id, parent_id] = match ?? [];
  if (!trace_id || !parent_id || /^0+$/.test(trace_id) || /^0+$/.test(parent_id)) return undefined;
  return { trace_id, parent_id };
}
