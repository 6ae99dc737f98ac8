import { BlockList, isIP } from 'node:net';
import { canonicalAddress, isPublicAddress } from './addresses.js';

/** What a host part of a URL says before any name is resolved. */
export type HostVerdict = 'allowed' | 'refused' | 'resolve';

interface Rule {
  readonly port: number | null;
  /** `*`, a name, or `*.` and a suffix. */
  readonly name?: string;
  readonly networks: readonly { address: string; prefix: number }[];
}

const LOOPBACK = ['127.0.0.1', '::1'] as const;
const NAME = /^(?:\*\.)?[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?(?:\.[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?)*$/;

/** What may be reached beside public addresses, as AERIE_EGRESS_ALLOW says it. */
export class EgressRules {
  private readonly general: PortRules;
  private readonly byPort = new Map<number, PortRules>();

  /** Takes only entries that `isEgressRule` accepts. */
  constructor(entries: readonly string[]) {
    const rules = entries.map(parseRule).filter((rule) => rule !== null);
    this.general = new PortRules(rules.filter((rule) => rule.port === null));
    for (const { port } of rules) {
      if (port === null || this.byPort.has(port)) continue;
      this.byPort.set(port, new PortRules(rules.filter((rule) => rule.port === null || rule.port === port)));
    }
  }

  at(port: number): PortRules {
    return this.byPort.get(port) ?? this.general;
  }

  /** As a URL says it, where the usual port is left out. */
  of({ protocol, port }: { protocol: string; port: string }): PortRules {
    return this.at(Number(port) || (protocol === 'https:' ? 443 : 80));
  }

  /** One for each port that a rule names, and one for all others. */
  all(): PortRules[] {
    return [this.general, ...this.byPort.values()];
  }
}

/** The rules that hold for one port. */
export class PortRules {
  private readonly names = new Set<string>();
  private readonly suffixes: string[] = [];
  private readonly networks = new BlockList();
  private everything = false;

  constructor(rules: readonly Rule[]) {
    for (const { name, networks } of rules) {
      if (name === '*') this.everything = true;
      else if (name?.startsWith('*.')) this.suffixes.push(name.slice(1));
      else if (name !== undefined) this.names.add(name);
      for (const { address, prefix } of networks) this.networks.addSubnet(address, prefix, familyOf(address));
    }
  }

  /** Names that mean the machine itself are judged by its loopback addresses, whatever a resolver would say. */
  judge(host: string): HostVerdict {
    const address = canonicalAddress(host);
    if (address !== null) return this.allowsAddress(address) ? 'allowed' : 'refused';
    if (this.allowsName(host)) return 'allowed';
    const own = loopbackOf(host);
    if (own !== null) return own.some((it) => this.allowsAddress(it)) ? 'allowed' : 'refused';
    return 'resolve';
  }

  allowsName(host: string): boolean {
    const name = bareName(host);
    return this.everything || this.names.has(name) || this.suffixes.some((suffix) => name.endsWith(suffix));
  }

  allowsAddress(text: string): boolean {
    const address = canonicalAddress(text);
    if (address === null) return false;
    return this.everything || isPublicAddress(address) || this.networks.check(address, familyOf(address));
  }
}

export function isEgressRule(entry: string): boolean {
  return parseRule(entry) !== null;
}

/** The addresses of `localhost` and the names below it, which no resolver is asked for; null for every other name. */
export function loopbackOf(host: string): readonly string[] | null {
  return /(^|\.)localhost$/.test(bareName(host)) ? LOOPBACK : null;
}

function parseRule(entry: string): Rule | null {
  const text = entry.trim().toLowerCase();
  if (text === '*') return { port: null, name: '*', networks: [] };
  const network = /^([0-9a-f.:]+)\/(\d{1,3})$/.exec(text);
  if (network !== null) return networkRule(network[1] ?? '', Number(network[2]));
  if (isIP(text) !== 0) return hostRule(text, null);
  const [, host = '', digits] = /^(\[[^\]]*\]|[^:]*)(?::(\d{1,5}))?$/.exec(text) ?? [];
  const port = digits === undefined ? null : Number(digits);
  return port !== null && (port < 1 || port > 65_535) ? null : hostRule(host, port);
}

function networkRule(address: string, prefix: number): Rule | null {
  const family = isIP(address);
  if (family === 0 || prefix > (family === 4 ? 32 : 128)) return null;
  return { port: null, networks: [{ address, prefix }] };
}

function hostRule(host: string, port: number | null): Rule | null {
  const address = canonicalAddress(host);
  if (address !== null) return host.includes('%') ? null : { port, networks: [whole(address)] };
  if (bareName(host) === 'localhost') return { port, networks: LOOPBACK.map(whole) };
  const name = asciiName(host);
  return name === null ? null : { port, name, networks: [] };
}

/** A name as it stands in a URL that was parsed; what would be taken for an IP address there is no name. */
function asciiName(host: string): string | null {
  const [, star = '', rest = ''] = /^(\*\.)?(.*)$/.exec(host) ?? [];
  if (/[/\\?#@%\s]/.test(rest) || !URL.canParse(`http://${rest}`)) return null;
  const name = bareName(new URL(`http://${rest}`).hostname);
  return isIP(name) === 0 && NAME.test(star + name) ? star + name : null;
}

const bareName = (host: string): string => host.toLowerCase().replace(/\.$/, '');
const familyOf = (address: string): 'ipv4' | 'ipv6' => (isIP(address) === 4 ? 'ipv4' : 'ipv6');
const whole = (address: string) => ({ address, prefix: isIP(address) === 4 ? 32 : 128 });
