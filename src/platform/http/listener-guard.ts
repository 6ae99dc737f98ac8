import type { FastifyRequest } from 'fastify';
import { AerieError } from './errors.js';

/** Probes are asked by address, and tell nothing; everything else answers only to its own names. */
const PROBES = new Set(['/health', '/readiness', '/liveness']);

export interface ListenerPolicy {
  readonly allowed_hosts: readonly string[];
  readonly cors_origins: readonly string[];
  /** False in a process without the api role: it answers its probes and nothing else. */
  readonly serves_api: boolean;
}

/**
 * Why a request is refused before anything else sees it, if it is. By Host and Origin a page from elsewhere cannot reach the service
 * through a rebound name, nor with the browser's ambient rights; a NUL in the URL is in no id, and PostgreSQL takes none.
 */
export function checkListener(
  policy: ListenerPolicy,
  request: Pick<FastifyRequest, 'headers' | 'url'>,
): AerieError | null {
  const { host, origin } = request.headers;
  const path = request.url.split('?', 1)[0] ?? '';
  if (!PROBES.has(path) && !hostAllowed(policy.allowed_hosts, host)) {
    return new AerieError('host_not_allowed', 'This service does not answer to this host name.');
  }
  if (origin !== undefined && !originAllowed(policy, origin, host)) {
    return new AerieError('origin_not_allowed', 'This origin may not call this service.');
  }
  if (!policy.serves_api && !PROBES.has(path)) {
    return new AerieError('not_found', 'This process serves no API: it runs without the role api.');
  }
  if (request.url.includes('%00')) return new AerieError('bad_request', 'The URL is malformed.');
  return null;
}

function hostAllowed(allowed: readonly string[], host: string | undefined): boolean {
  if (!host) return false;
  const full = host.toLowerCase();
  const name = full.replace(/:\d+$/, '');
  return allowed.some((entry) => {
    const pattern = entry.toLowerCase();
    if (pattern === '*' || pattern === full || pattern === name) return true;
    return pattern.startsWith('*.') && name.endsWith(pattern.slice(1));
  });
}

function originAllowed(policy: ListenerPolicy, origin: string, host: string | undefined): boolean {
  if (policy.cors_origins.includes(origin) || policy.cors_origins.includes('*')) return true;
  const url = URL.parse(origin);
  return url !== null && host !== undefined && url.host === host.toLowerCase();
}
