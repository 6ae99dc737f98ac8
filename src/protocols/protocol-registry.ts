import { Inject, Injectable } from '@nestjs/common';
import { AerieError, invalid } from '../platform/http/errors.js';
import type { StreamProtocol } from './protocol.js';

export const STREAM_PROTOCOLS = Symbol('stream protocols');

/** The protocols of this service; the first one is the default. */
@Injectable()
export class ProtocolRegistry {
  private readonly byName: ReadonlyMap<string, StreamProtocol>;

  constructor(@Inject(STREAM_PROTOCOLS) private readonly protocols: readonly StreamProtocol[]) {
    this.byName = new Map(protocols.map((protocol) => [protocol.name, protocol]));
    if (this.byName.size !== protocols.length) throw new Error('two stream protocols have one name');
  }

  /** By name when one is given, else by what the client accepts, else the default. */
  choose(name: string | undefined, accept: string | undefined): StreamProtocol {
    if (name !== undefined) {
      const named = this.byName.get(name);
      if (!named) throw invalid('protocol', `must be one of ${[...this.byName.keys()].join(', ')}`);
      return named;
    }
    const accepted = (accept ?? '*/*').split(',').map((item) => item.split(';', 1)[0]?.trim().toLowerCase() ?? '');
    const match = this.protocols.find((protocol) => accepted.some((type) => matches(type, protocol.contentType)));
    if (!match) throw new AerieError('not_acceptable', 'No stream of this service has a media type you accept.');
    return match;
  }
}

function matches(accepted: string, contentType: string): boolean {
  const own = contentType.split(';', 1)[0]?.trim() ?? '';
  return accepted === '*/*' || accepted === own || accepted === `${own.split('/', 1)[0]}/*`;
}
