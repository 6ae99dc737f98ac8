/** A request that was not sent because of where it would go. The message may be shown to clients: it repeats only what they said. */
export class EgressRefused extends Error {
  override readonly name = 'EgressRefused';
  readonly code = 'egress_refused';
}

export const refusedHost = (host: string): EgressRefused =>
  new EgressRefused(`${host} is not an address that this service may reach; its operator can allow it.`);
