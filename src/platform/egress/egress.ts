import { Injectable } from '@nestjs/common';

/** The way out of the process for addresses that tenants choose. */
@Injectable()
export class Egress {
  readonly fetch: typeof globalThis.fetch = (input, init) => globalThis.fetch(input, init);
}
