import { lookup, Resolver } from 'node:dns/promises';

/**
 * The IP addresses of a name; fails when it has none. `trusted`: the operator named the host, so that the machine's own ways to find it
 * (hosts file, search domains) are right.
 */
export type Resolve = (host: string, trusted: boolean) => Promise<string[]>;

const TIMEOUT_MS = 2500;
const TRIES = 2;

/**
 * Asks the system only for the operator's names: its resolver holds a thread of the few that file access and encryption use too, for as
 * long as the name's server likes, so names that tenants choose are asked for by DNS alone. A resolver per question reads the machine's
 * settings as they are now, and keeps nothing.
 */
export const resolveHost: Resolve = async (host, trusted) =>
  trusted ? (await lookup(host, { all: true })).map(({ address }) => address) : resolveByDns(host);

/** `servers` in place of those of the machine, as `ip:port`. */
export async function resolveByDns(host: string, servers?: readonly string[]): Promise<string[]> {
  const resolver = new Resolver({ timeout: TIMEOUT_MS, tries: TRIES });
  if (servers !== undefined) resolver.setServers(servers);
  const answers = await Promise.allSettled([resolver.resolve4(host), resolver.resolve6(host)]);
  const found = answers.flatMap((it) => (it.status === 'fulfilled' ? it.value : []));
  if (found.length === 0) throw new Error(`${host} has no address`, { cause: reasonOf(answers[0]) });
  return found;
}

const reasonOf = (answer: PromiseSettledResult<unknown>): unknown =>
  answer.status === 'rejected' ? answer.reason : undefined;
