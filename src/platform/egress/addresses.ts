import { BlockList, isIP } from 'node:net';

/**
 * What the special-purpose registries of IANA keep out of the public network, private, loopback, link-local (with the metadata services
 * of clouds), shared, documentation, benchmark, multicast and reserved ranges among them, and what Azure serves to its machines on a
 * public address.
 */
const SPECIAL_V4 = [
  ['0.0.0.0', 8],
  ['10.0.0.0', 8],
  ['100.64.0.0', 10],
  ['127.0.0.0', 8],
  ['168.63.129.16', 32],
  ['169.254.0.0', 16],
  ['172.16.0.0', 12],
  ['192.0.0.0', 24],
  ['192.0.2.0', 24],
  ['192.88.99.0', 24],
  ['192.168.0.0', 16],
  ['198.18.0.0', 15],
  ['198.51.100.0', 24],
  ['203.0.113.0', 24],
  ['224.0.0.0', 4],
  ['240.0.0.0', 4],
] as const;

/** All that is public of IPv6 lies in here; loopback, private, link-local and multicast addresses lie outside. */
const GLOBAL_V6 = ['2000::', 3] as const;
/** Within it: protocol assignments (Teredo tunnels among them), documentation. */
const SPECIAL_V6 = [
  ['2001::', 23],
  ['2001:db8::', 32],
  ['3fff::', 20],
] as const;

const specialV4 = new BlockList();
for (const [network, prefix] of SPECIAL_V4) specialV4.addSubnet(network, prefix, 'ipv4');
const globalV6 = new BlockList();
globalV6.addSubnet(...GLOBAL_V6, 'ipv6');
const specialV6 = new BlockList();
for (const [network, prefix] of SPECIAL_V6) specialV6.addSubnet(network, prefix, 'ipv6');

/** The one spelling of an IP address: without brackets and zone, and IPv4 when it is IPv4 mapped into IPv6. Null when it is none. */
export function canonicalAddress(text: string): string | null {
  const bare = text.replace(/^\[(.*)\]$/, '$1').replace(/%.*$/, '');
  const family = isIP(bare);
  if (family === 0) return null;
  if (family === 4) return bare;
  const groups = groupsOf(bare);
  const isMapped = groups.slice(0, 5).every((group) => group === 0) && groups[5] === 0xffff;
  return isMapped ? dotted(groups[6], groups[7]) : new URL(`http://[${bare}]`).hostname.slice(1, -1);
}

/** Whether an address in its canonical spelling is one of the public network, for a tunnelled or translated one: of its IPv4 address. */
export function isPublicAddress(address: string): boolean {
  if (isIP(address) === 4) return !specialV4.check(address, 'ipv4');
  const carried = carriedV4(groupsOf(address));
  if (carried !== null) return isPublicAddress(carried);
  return globalV6.check(address, 'ipv6') && !specialV6.check(address, 'ipv6');
}

/** The IPv4 address that a NAT64 (64:ff9b::/96) or 6to4 (2002::/16) address leads to. */
function carriedV4(groups: readonly number[]): string | null {
  if (groups[0] === 0x2002) return dotted(groups[1], groups[2]);
  const isNat64 = groups[0] === 0x64 && groups[1] === 0xff9b && groups.slice(2, 6).every((group) => group === 0);
  return isNat64 ? dotted(groups[6], groups[7]) : null;
}

function groupsOf(ipv6: string): number[] {
  const [head = '', tail] = new URL(`http://[${ipv6}]`).hostname.slice(1, -1).split('::');
  const front = parse(head);
  if (tail === undefined) return front;
  const back = parse(tail);
  return [...front, ...Array<number>(8 - front.length - back.length).fill(0), ...back];
}

const parse = (groups: string): number[] =>
  groups === '' ? [] : groups.split(':').map((group) => Number.parseInt(group, 16));

const dotted = (high = 0, low = 0): string => [high >> 8, high & 255, low >> 8, low & 255].join('.');
