import type { Principal } from '../auth/principal.js';
import type { EventBatch } from '../events/event-log.js';
import type { SessionRecord } from '../sessions/session.store.js';

/** Turns what a follower sees into the frames of one protocol, for one stream. Pure: no I/O, no clock. */
export interface StreamEncoder {
  batch(batch: EventBatch): Uint8Array;
  /** Numbers up to and including `upTo` are gone. */
  gap(upTo: number): Uint8Array;
  /** The session was deleted. */
  end(): Uint8Array;
  /** Written when nothing was to say for a while. */
  heartbeat(): Uint8Array;
  /** The last word to a client whose server goes away; it comes back by its cursor. */
  goodbye(): Uint8Array;
}

/** A view of the session log that a client may ask for by name. */
export interface StreamProtocol {
  /** As in `?protocol=`. */
  readonly name: string;
  readonly contentType: string;
  /** Sent at once, so that proxies and clients see the stream open. */
  readonly preamble: Uint8Array;
  encoder(session: SessionRecord): StreamEncoder;
}

/** What a stream route returns; the ProtocolInterceptor makes a response of it. */
export class SessionStream {
  constructor(
    readonly principal: Principal,
    readonly session: SessionRecord,
    /** Numbers above this are delivered. */
    readonly after: number,
    readonly protocol: string | undefined,
  ) {}
}
