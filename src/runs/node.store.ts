import type { SystemPrincipal } from '../auth/principal.js';
import type { SessionRef } from '../platform/redis/keys.js';
import type { Ending } from './run.store.js';

/** A run that ended or was parked, with the events that say so. */
export interface EndedRun extends SessionRef {
  readonly run_id: string;
  readonly ending: Ending;
  readonly end_seq: number;
}

/** The processes that work on this database. A node that stops without notice leaves what it had not published to the others. */
export abstract class NodeStore {
  /** Says that the node lives, and that the events of all runs it finished more than `unflushedMs` ago are in the log. */
  abstract beat(system: SystemPrincipal, node: string, unflushedMs: number): Promise<void>;
  /** A node that was silent for `silentMs`; others do not see it for a while, so that one of them cares for it. */
  abstract takeSilent(system: SystemPrincipal, silentMs: number): Promise<string | null>;
  /** The runs of a node whose last events may be missing from the log, up to `limit` after `after`, in the order of their ids. */
  abstract unflushed(system: SystemPrincipal, node: string, after: string | null, limit: number): Promise<EndedRun[]>;
  /** The run of a session that ended or was parked last. */
  abstract lastEnded(system: SystemPrincipal, session: SessionRef): Promise<EndedRun | null>;
  abstract forget(system: SystemPrincipal, node: string): Promise<void>;
}
