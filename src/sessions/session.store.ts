import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { Msg } from '../core/messages/message.js';
import type { Page } from '../platform/http/wire.js';
import type { SessionRef } from '../platform/redis/keys.js';
import type { ForkedFrom, SessionConfig, SessionListQuery } from './session.schema.js';

export interface SessionRecord {
  readonly tenant_id: string;
  readonly id: string;
  readonly user_id: string;
  readonly agent_id: string;
  readonly external_id: string | null;
  readonly source: 'user' | 'schedule';
  readonly config: SessionConfig;
  readonly forked_from: ForkedFrom | null;
  readonly created_at: Date;
  readonly updated_at: Date;
  /** Counts the changes of this record. */
  readonly version: number;
  /** Counts the changes of agents and credentials of the tenant. */
  readonly config_version: number;
  /** A run is at work or may start: queued, or parked and answered. */
  readonly is_running: boolean;
  /** What a parked run waits for. */
  readonly open_calls: readonly { kind: 'external' | 'confirm' }[];
  /** The last event number that is committed. */
  readonly last_seq: number;
  /** The number before the first event of the current reply, or of the last one when idle. */
  readonly reply_seq: number;
}

/** A record with what a view shows of the session's state; `storedState` reads it. */
export interface StatefulRecord extends SessionRecord {
  readonly state: unknown;
}

export interface NewSession {
  readonly id: string;
  readonly agent_id: string;
  readonly external_id: string | null;
  readonly config: SessionConfig;
}

export interface NewFork {
  readonly id: string;
  readonly external_id: string | null;
  readonly name: string;
  /** The last message that is copied; all when absent. */
  readonly message_id?: string | undefined;
  /** What becomes of a reply that has not ended. */
  readonly close: (open: Msg) => Msg;
}

/** Messages in a row, oldest first, and the position to go on behind; null when that was the last. */
export interface TranscriptStretch {
  readonly messages: Msg[];
  readonly next: number | null;
}

export interface TranscriptBounds {
  /** The first message that is not part of it. */
  readonly before?: string | undefined;
  /** The first one that is; when there is no such message, all are. */
  readonly from?: string | undefined;
}

export interface TranscriptPage {
  readonly messages: Msg[];
  readonly has_more: boolean;
  readonly is_running: boolean;
  readonly as_of_seq: number;
}

/**
 * Sessions of a caller. `id` may be the session's id or the client's own name for it; a foreign or deleted one reads as null.
 */
export abstract class SessionStore {
  /** False when the caller has a session of this name already. */
  abstract create(principal: Principal, session: NewSession): Promise<boolean>;
  abstract get(principal: Principal, id: string): Promise<SessionRecord | null>;
  abstract getWithState(principal: Principal, id: string): Promise<StatefulRecord | null>;
  /** A page may hold fewer sessions than asked for, so that their states stay within bounds. */
  abstract list(principal: Principal, query: SessionListQuery): Promise<Page<StatefulRecord>>;
  abstract update(
    principal: Principal,
    id: string,
    change: (config: SessionConfig) => SessionConfig,
  ): Promise<StatefulRecord | null>;
  /** Copies configuration, state, transcript and what was put aside of it, as committed at one moment. `id` is that of the session. */
  abstract fork(
    principal: Principal,
    id: string,
    fork: NewFork,
  ): Promise<'forked' | 'no_session' | 'no_message' | 'name_taken'>;
  /** The newest messages of a stretch, oldest first, and the number they are exact at. Null when there is no message `before`. */
  abstract messages(
    principal: Principal,
    id: string,
    limit: number,
    stretch?: TranscriptBounds,
  ): Promise<TranscriptPage | null>;
  /** What is behind position `after` and not behind `until`, bounded in number and bytes. Null when there is no such session. */
  abstract stretch(principal: Principal, id: string, after: number, until: number): Promise<TranscriptStretch | null>;
  /** One message of the transcript as it stands; null when there is none of this id. */
  abstract message(principal: Principal, id: string, messageId: string): Promise<Msg | null>;
  /** Tombstones sessions and takes their leases away, so that whoever works on them can write no more. Returns those it closed. */
  abstract delete(principal: Principal, where: { id: string } | { agent_id: string }): Promise<SessionRef[]>;
  /** Removes up to `limit` tombstoned sessions with all their rows; returns how many went. */
  abstract purge(system: SystemPrincipal, limit: number): Promise<number>;
}
