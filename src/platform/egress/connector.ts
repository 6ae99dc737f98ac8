import { isIP, type LookupFunction, type Socket } from 'node:net';
import { buildConnector } from 'undici';
import { refusedHost } from './egress-refused.js';
import { type EgressRules, loopbackOf, type PortRules } from './egress-rules.js';
import type { Resolve } from './resolve.js';

const CONNECT_TIMEOUT_MS = 10_000;
const NEXT_ADDRESS_MS = 250;

/**
 * Opens the sockets of the egress client. A name is resolved once, and the socket gets the addresses that were checked: a second answer
 * of a name server is never asked for. An address in a URL is not resolved, so it is checked before. `open` holds the sockets in use.
 */
export function guardedConnector(rules: EgressRules, resolve: Resolve, open: Set<Socket>): buildConnector.connector {
  const connectors = new Map(rules.all().map((at) => [at, connectorOf(at, resolve)]));
  return (options, callback) => {
    const { hostname } = options;
    const at = rules.of(options);
    const connect = connectors.get(at);
    if (connect === undefined || at.judge(hostname) === 'refused') {
      callback(refusedHost(hostname), null);
      return;
    }
    connect(options, (...result) => {
      if (result[0] === null) {
        const [, socket] = result;
        open.add(socket.once('close', () => open.delete(socket)));
      }
      callback(...result);
    });
  };
}

function connectorOf(rules: PortRules, resolve: Resolve): buildConnector.connector {
  // One lost connection must not cut off many replies: HTTP/1.1, one exchange at a time.
  return buildConnector({
    allowH2: false,
    timeout: CONNECT_TIMEOUT_MS,
    autoSelectFamily: true,
    autoSelectFamilyAttemptTimeout: NEXT_ADDRESS_MS,
    lookup: guardedLookup(rules, resolve),
  });
}

function guardedLookup(rules: PortRules, resolve: Resolve): LookupFunction {
  return (hostname, options, callback) => {
    const trusted = rules.allowsName(hostname);
    const answer = loopbackOf(hostname);
    const asked = answer === null ? resolve(hostname, trusted) : Promise.resolve([...answer]);
    const fail = (error: NodeJS.ErrnoException): void => callback(error, '', 0);
    asked.then((addresses) => {
      const checked = addresses
        .filter((address) => trusted || rules.allowsAddress(address))
        .map((address) => ({ address, family: isIP(address) }));
      const [first] = checked;
      if (first === undefined) fail(refusedHost(hostname));
      else if (options.all === true) callback(null, checked);
      else callback(null, first.address, first.family);
    }, fail);
  };
}
