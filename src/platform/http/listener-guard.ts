import type { FastifyRequest } from 'fastify';
import { AerieError } from './errors.js';

/** Probes are asked by address, and tell nothing; everything else answers only to its own names. */
const PROBES = new Set(['/health', '/readiness', '/liveness']);

export interface ListenerPolicy {
  readonly allowed_hosts: readonly string[];
  readonly cors_origins: readonly string[];
}

/**
 * Checks Host and Origin of every request before anything else sees it: a page from elsewhere cannot reach the service through a
 * rebound name, nor with the browser's ambient rights.
 */
export function checkListener(policy: ListenerPolicy, request: Pick<FastifyRequest, 'headers' | 'url'>): void {
  const { host, origin } = request.headers;
  const path = request.url.split('?', 1)[0] ?? '';
  if (!PROBES.has(path) && !hostAllowed(policy.allowed_hosts, host)) {
    throw new AerieError('host_not_allowed', 'This service does not answer to this host name.');
  }
  if (origin !== undefined && !originAllowed(policy, origin, host)) {
    throw new AerieError('origin_not_allowed', 'This origin may not call this service.');
  }
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
