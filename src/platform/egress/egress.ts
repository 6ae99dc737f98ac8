import type { Socket } from 'node:net';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, fetch, type Response as Answer } from 'undici';
import { ANSWER_LIMITS, type AnswerLimits, boundedAnswer } from './bounded-answer.js';
import { guardedConnector } from './connector.js';
import { EgressRefused, refusedHost } from './egress-refused.js';
import { EgressRules } from './egress-rules.js';
import { locationOf, type Outgoing, redirected, toOutgoing } from './outgoing.js';
import { type Resolve, resolveHost } from './resolve.js';

export interface EgressOptions {
  /** Entries of AERIE_EGRESS_ALLOW. */
  readonly allow: readonly string[];
  /** Connections to one origin; what is beyond waits for one of them. */
  readonly connections: number;
  readonly resolve?: Resolve;
  readonly limits?: AnswerLimits;
}

const MAX_REDIRECTS = 5;
const MAX_ORIGINS = 4096;
const HEADERS_TIMEOUT_MS = 600_000;
/** Whatever a server asks for: an idle connection keeps a place among the origins. */
const MAX_IDLE_MS = 60_000;
const CLOSE_MS = 2000;

/**
 * The way out of the process for addresses that tenants choose. It reaches public addresses, and what the operator allows; the address
 * that was checked is the one that is connected to, on every hop of a redirect. Proxies named in the environment are not used.
 */
export class Egress {
  private readonly rules: EgressRules;
  private readonly agent: Agent;
  private readonly sockets = new Set<Socket>();
  private readonly limits: AnswerLimits;
  private closing: Promise<void> | undefined;

  constructor({ allow, connections, resolve = resolveHost, limits = ANSWER_LIMITS }: EgressOptions) {
    this.limits = limits;
    this.rules = new EgressRules(allow);
    this.agent = new Agent({
      connect: guardedConnector(this.rules, resolve, this.sockets),
      connections,
      maxOrigins: MAX_ORIGINS,
      keepAliveMaxTimeout: MAX_IDLE_MS,
      headersTimeout: HEADERS_TIMEOUT_MS,
      bodyTimeout: 0,
      allowH2: false,
    });
  }

  /**
   * Fetches over http or https. Throws `EgressRefused` for a target that may not be reached, also as the target of a redirect; up to 5
   * redirects are followed. Ten seconds to connect, ten minutes for the headers of the answer; how long a body may take is the caller's
   * to bound, by `signal`. One that becomes too large fails with `AnswerTooLarge`.
   */
  readonly fetch: typeof globalThis.fetch = async (input, init) => {
    let request = await toOutgoing(input, init);
    for (let hops = 0; ; hops += 1) {
      const response = await this.send(request);
      const location = request.redirect === 'manual' ? null : locationOf(response);
      if (location === null) return boundedAnswer(response, this.limits) as unknown as Response;
      await response.body?.cancel();
      if (request.redirect === 'error') throw new EgressRefused(`${request.url.host} redirects.`);
      if (hops === MAX_REDIRECTS) throw new EgressRefused(`${request.url.host} redirects too often.`);
      request = redirected(request, response.status, location);
    }
  };

  /** What can be said against a URL before its name is resolved; null when nothing can. */
  refusal(text: string): EgressRefused | null {
    if (!URL.canParse(text)) return new EgressRefused('This is not a URL.');
    const url = new URL(text);
    const { protocol, hostname, username, password } = url;
    if (username + password !== '') return new EgressRefused('A URL with a user or password is not reached.');
    if (protocol !== 'http:' && protocol !== 'https:') return new EgressRefused('Only http and https can be reached.');
    return this.rules.of(url).judge(hostname) === 'refused' ? refusedHost(hostname) : null;
  }

  /** Waits for what is under way, but not long: whoever stops the process has ended its work before. */
  close(): Promise<void> {
    return (this.closing ??= this.shut());
  }

  private async shut(): Promise<void> {
    const timer = new AbortController();
    const tooLong = delay(CLOSE_MS, undefined, { signal: timer.signal }).catch(() => undefined);
    await Promise.race([this.agent.close(), tooLong]);
    timer.abort();
    for (const socket of this.sockets) socket.destroy();
  }

  private async send({ url, init }: Outgoing): Promise<Answer> {
    const refused = this.refusal(url.href);
    if (refused !== null) throw refused;
    try {
      return await fetch(url, { ...init, redirect: 'manual', dispatcher: this.agent });
    } catch (error) {
      // The package wraps what the connector said.
      throw error instanceof Error && error.cause instanceof EgressRefused ? error.cause : error;
    }
  }
}
