import type { Logger } from '@nestjs/common';
import type { Cut } from '../core/context/window-view.js';
import type { Msg } from '../core/messages/message.js';
import type { Config } from '../platform/config/config.js';
import type { SessionStore } from '../sessions/session.store.js';
import type { Assembler } from './assembler.js';
import type { ContextCache } from './context-cache.js';
import type { EventWriter } from './event-writer.js';
import type { HeldSession } from './held-session.js';
import type { RunStore, TakenRun } from './run.store.js';

export interface StretchResources {
  readonly config: Config;
  readonly store: RunStore;
  readonly sessions: SessionStore;
  readonly assembler: Assembler;
  readonly contexts: ContextCache;
  readonly logger: Logger;
}

/** What the parts of one stretch of work on a session share. */
export interface Stretch {
  readonly resources: StretchResources;
  readonly held: HeldSession;
  readonly writer: EventWriter;
  /** The log lost events that it had acknowledged; followers are to be given the open reply anew. */
  lost: boolean;
  /** Tries a write again while the lease lasts; undefined when it ran out. */
  persist<T>(write: () => Promise<T>): Promise<T | undefined>;
  /** A run is over, or parked, and on record. `reply` is what the conversation gained, `from` where its view begins by now. */
  conclude(reply: Msg | null, history: readonly Msg[], from: Cut | null, released: boolean): void;
  /** Gives the session back before its work is done: the process goes. */
  handOver(run: TakenRun | null): Promise<void>;
}
