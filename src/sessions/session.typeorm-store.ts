import { Injectable } from '@nestjs/common';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import { EMPTY_STATE } from '../core/state/session-state.js';
import type { Msg } from '../core/messages/message.js';
import { Database, type Row } from '../platform/database/database.js';
import { jsonColumns } from '../platform/database/pages.js';
import type { Page } from '../platform/http/wire.js';
import { isUuid } from '../platform/ids.js';
import type { SessionRef } from '../platform/redis/keys.js';
import { IsNull } from 'typeorm';
import { STRETCH } from './export.sql.js';
import { ADD_REPLIES, FORK } from './fork.sql.js';
import { SessionEntity } from './session.entity.js';
import type { SessionConfig, SessionListQuery } from './session.schema.js';
import { IS_RUNNING, listStatements, RECORD, RECORD_WITH_STATE } from './session.sql.js';
import {
  SessionStore,
  type NewFork,
  type NewSession,
  type SessionRecord,
  type StatefulRecord,
  type TranscriptBounds,
  type TranscriptPage,
  type TranscriptStretch,
} from './session.store.js';
import { type MessageRow, toMessages, toStep } from './transcript-rows.js';

/** Sessions go with all their rows, which may be many. */
const PURGE_MS = 300_000;

/** A long transcript is copied in one statement. */
const FORK_MS = 60_000;

const STRETCH_MESSAGES = 100;
const STRETCH_BYTES = 1024 * 1024;

@Injectable()
export class SessionTypeormStore extends SessionStore {
  constructor(private readonly database: Database) {
    super();
  }

  async create(principal: Principal, session: NewSession): Promise<boolean> {
    const { tenant_id, user_id } = principal;
    const rows = await this.database.run(
      'session-create',
      `WITH s AS (
         INSERT INTO sessions (tenant_id, id, user_id, agent_id, external_id, config, state)
         VALUES ($1, $2, $3, $4, $5, $6, '{}')
         ON CONFLICT (tenant_id, user_id, external_id) WHERE deleted_at IS NULL DO NOTHING
         RETURNING tenant_id, id)
       INSERT INTO session_leases (tenant_id, session_id) SELECT tenant_id, id FROM s RETURNING session_id`,
      [tenant_id, session.id, user_id, session.agent_id, session.external_id, session.config],
    );
    return rows.length > 0;
  }

  get(principal: Principal, id: string): Promise<SessionRecord | null> {
    return this.find<SessionRecord & Row>(principal, id, 'session', RECORD);
  }

  getWithState(principal: Principal, id: string): Promise<StatefulRecord | null> {
    return this.find<StatefulRecord & Row>(principal, id, 'session-with-state', RECORD_WITH_STATE);
  }

  /** Two look-ups by key instead of one by either: the planner would answer an OR by reading all sessions of the user. An id wins. */
  private async find<T extends Row>(principal: Principal, id: string, name: string, select: string): Promise<T | null> {
    const values = [principal.tenant_id, principal.user_id, id];
    const one = async (by: string, column: string) =>
      (await this.database.run<T>(`${name}-by-${by}`, `${select} AND s.${column} = $3`, values))[0];
    const byId = isUuid(id) ? await one('id', 'id') : undefined;
    return byId ?? (await one('name', 'external_id')) ?? null;
  }

  async list({ tenant_id, user_id }: Principal, query: SessionListQuery): Promise<Page<StatefulRecord>> {
    const { kind, page, count } = listStatements([tenant_id, user_id], query);
    const [found, [counted]] = await Promise.all([
      this.database.run<StatefulRecord & { fits: boolean } & Row>(`session-list${kind}`, page.text, page.values),
      this.database.run<{ total: number }>(`session-count${kind}`, count.text, count.values),
    ]);
    const rows = found.slice(0, query.limit).filter(({ fits }) => fits);
    const next_cursor = found.length > rows.length ? (rows.at(-1)?.id ?? null) : null;
    return { rows, total: counted?.total ?? 0, next_cursor };
  }

  async update(
    principal: Principal,
    id: string,
    change: (config: SessionConfig) => SessionConfig,
  ): Promise<StatefulRecord | null> {
    const found = await this.get(principal, id);
    if (!found) return null;
    const { tenant_id, user_id } = principal;
    const where = { tenant_id, user_id, id: found.id, deleted_at: IsNull() };
    await this.database.dataSource.transaction(async (manager) => {
      const row = await manager.findOne(SessionEntity, { where, lock: { mode: 'for_no_key_update' } });
      if (row)
        await manager.update(
          SessionEntity,
          where,
          jsonColumns({ config: change(row.config), updated_at: new Date(), version: row.version + 1 }),
        );
    });
    return this.getWithState(principal, found.id);
  }

  fork(
    principal: Principal,
    id: string,
    fork: NewFork,
  ): Promise<'forked' | 'no_session' | 'no_message' | 'name_taken'> {
    const { tenant_id, user_id } = principal;
    const { window_context } = EMPTY_STATE;
    return this.database.transaction(async (sql) => {
      const rows = await sql.run<MessageRow & { known: boolean; made: boolean; run_id: string } & Row>(
        'session-fork',
        FORK,
        [tenant_id, user_id, id, fork.message_id ?? null, fork.id, fork.external_id, fork.name, window_context],
        FORK_MS,
      );
      const [first] = rows;
      if (!first) return 'no_session';
      if (!first.known) return 'no_message';
      if (!first.made) return 'name_taken';
      const open = rows.filter((row) => row.reply_id !== null);
      const replies = toMessages(open).map((reply) => {
        const row = open.find(({ reply_id }) => reply_id === reply.id);
        return { reply_id: reply.id, run_id: row?.run_id, position: row?.position, data: toStep(fork.close(reply)) };
      });
      if (replies.length > 0) {
        await sql.run('session-fork-replies', ADD_REPLIES, [tenant_id, fork.id, JSON.stringify(replies)]);
      }
      return 'forked';
    });
  }

  async messages(
    principal: Principal,
    id: string,
    limit: number,
    { before, from }: TranscriptBounds = {},
  ): Promise<TranscriptPage | null> {
    const rows = await this.database.run<MessageRow & { last_seq: number; is_running: boolean; known: boolean } & Row>(
      'session-messages',
      `SELECT l.last_seq, ${IS_RUNNING},
              ($4::text IS NULL OR b.position IS NOT NULL) AS known, m.reply_id, m.step, m.position, m.data
       FROM sessions s
       JOIN session_leases l ON l.tenant_id = s.tenant_id AND l.session_id = s.id
       LEFT JOIN LATERAL (
         SELECT min(position) AS position FROM messages
         WHERE tenant_id = s.tenant_id AND session_id = s.id AND reply_id = $4 AND position > 0 AND removed_at IS NULL) b ON true
       LEFT JOIN LATERAL (
         SELECT max(position) AS position FROM messages
         WHERE tenant_id = s.tenant_id AND session_id = s.id AND reply_id = $6 AND position > 0 AND removed_at IS NULL) f ON true
       LEFT JOIN LATERAL (
         SELECT m.reply_id, m.step, m.position, m.data
         FROM (SELECT DISTINCT position FROM messages
               WHERE tenant_id = s.tenant_id AND session_id = s.id AND position >= coalesce(f.position, 1) AND removed_at IS NULL
                 AND ($4::text IS NULL OR position < b.position)
               ORDER BY position DESC LIMIT $5) p
         JOIN messages m ON m.tenant_id = s.tenant_id AND m.session_id = s.id AND m.position = p.position) m ON true
       WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.id = $3 AND s.deleted_at IS NULL
       ORDER BY m.position, m.step`,
      [principal.tenant_id, principal.user_id, id, before ?? null, limit + 1, from ?? null],
    );
    const [first] = rows;
    if (!first?.known) return null;
    const messages = toMessages(rows.filter((row) => row.reply_id !== null));
    return {
      messages: messages.slice(-limit),
      has_more: messages.length > limit,
      is_running: first.is_running,
      as_of_seq: first.last_seq,
    };
  }

  async stretch(principal: Principal, id: string, after: number, until: number): Promise<TranscriptStretch | null> {
    const values = [principal.tenant_id, principal.user_id, id, after, until, STRETCH_MESSAGES, STRETCH_BYTES];
    const rows = await this.database.run<MessageRow & Row>('session-stretch', STRETCH, values);
    if (rows.length === 0) return null;
    const said = rows.filter((row) => row.reply_id !== null);
    return { messages: toMessages(said), next: said.at(-1)?.position ?? null };
  }

  async message({ tenant_id, user_id }: Principal, id: string, messageId: string): Promise<Msg | null> {
    const rows = await this.database.run<MessageRow & Row>(
      'session-message',
      `SELECT m.reply_id, m.step, m.position, m.data
       FROM sessions s JOIN messages m ON m.tenant_id = s.tenant_id AND m.session_id = s.id
       WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.id = $3 AND s.deleted_at IS NULL
         AND m.reply_id = $4 AND m.position > 0 AND m.removed_at IS NULL
       ORDER BY m.step`,
      [tenant_id, user_id, id, messageId],
    );
    return toMessages(rows)[0] ?? null;
  }

  delete(principal: Principal, where: { id: string } | { agent_id: string }): Promise<SessionRef[]> {
    const [column, value] = 'id' in where ? ['id', where.id] : ['agent_id', where.agent_id];
    return this.database.transaction(async (sql) => {
      // The leases first, in their order: whoever holds one writes both rows.
      await sql.run(
        `session-delete-lock-by-${column}`,
        `SELECT 1 FROM session_leases l JOIN sessions s ON s.tenant_id = l.tenant_id AND s.id = l.session_id
         WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.${column} = $3 AND s.deleted_at IS NULL
         ORDER BY l.tenant_id, l.session_id FOR UPDATE OF l`,
        [principal.tenant_id, principal.user_id, value],
      );
      const closed = await sql.run<SessionRef & Row>(
        `session-delete-by-${column}`,
        `UPDATE sessions SET deleted_at = now()
         WHERE tenant_id = $1 AND user_id = $2 AND ${column} = $3 AND deleted_at IS NULL
         RETURNING tenant_id, id AS session_id`,
        [principal.tenant_id, principal.user_id, value],
      );
      await sql.run(
        'session-delete-leases',
        'DELETE FROM session_leases WHERE tenant_id = $1 AND session_id = ANY($2::uuid[])',
        [principal.tenant_id, closed.map((it) => it.session_id)],
      );
      return closed;
    });
  }

  async purge(_system: SystemPrincipal, limit: number): Promise<number> {
    const sessions = await this.database.run(
      'session-purge',
      `DELETE FROM sessions WHERE (tenant_id, id) IN (
         SELECT tenant_id, id FROM sessions WHERE deleted_at IS NOT NULL LIMIT $1 FOR UPDATE SKIP LOCKED) RETURNING id`,
      [limit],
      PURGE_MS,
    );
    return sessions.length;
  }
}
