import { Injectable } from '@nestjs/common';
import type { Principal, SystemPrincipal } from '../auth/principal.js';
import type { Msg } from '../core/messages/message.js';
import { Database, type Row } from '../platform/database/database.js';
import { jsonColumns } from '../platform/database/pages.js';
import type { Page } from '../platform/http/wire.js';
import { isUuid } from '../platform/ids.js';
import type { SessionRef } from '../platform/redis/keys.js';
import { IsNull } from 'typeorm';
import { SessionEntity } from './session.entity.js';
import type { SessionConfig, SessionListQuery } from './session.schema.js';
import { SessionStore, type NewSession, type SessionRecord, type TranscriptPage } from './session.store.js';
import { type MessageRow, toMessages } from './transcript-rows.js';

/** Sessions go with all their rows, which may be many. */
const PURGE_MS = 300_000;

const IS_RUNNING = `
  (l.lease_owner IS NOT NULL OR l.lease_run_id IS NOT NULL OR l.signals > 0
   OR ((l.pending > 0 OR l.hints > 0) AND l.waiting_run_id IS NULL)) AS is_running`;

const RECORD = `
  SELECT s.tenant_id, s.id, s.user_id, s.agent_id, s.external_id, s.source, s.config, s.created_at, s.updated_at,
         s.version, coalesce((SELECT v.version FROM config_versions v WHERE v.tenant_id = s.tenant_id), 0) AS config_version,
         ${IS_RUNNING}, l.last_seq, l.reply_seq,
         coalesce((SELECT r.open_calls FROM runs r WHERE r.tenant_id = s.tenant_id AND r.id = l.waiting_run_id), '[]') AS open_calls
  FROM sessions s JOIN session_leases l ON l.tenant_id = s.tenant_id AND l.session_id = s.id
  WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.deleted_at IS NULL`;

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

  async get(principal: Principal, id: string): Promise<SessionRecord | null> {
    // Two look-ups by key instead of one by either: the planner would answer an OR by reading all sessions of the user. An id wins.
    const values = [principal.tenant_id, principal.user_id, id];
    const byId = isUuid(id) ? await this.one('session-by-id', 'AND s.id = $3', values) : null;
    return byId ?? this.one('session-by-name', 'AND s.external_id = $3', values);
  }

  private async one(name: string, condition: string, values: unknown[]): Promise<SessionRecord | null> {
    const [record] = await this.database.run<SessionRecord & Row>(name, `${RECORD} ${condition}`, values);
    return record ?? null;
  }

  async list(principal: Principal, query: SessionListQuery): Promise<Page<SessionRecord>> {
    const { tenant_id, user_id } = principal;
    const [rows, [counted]] = await Promise.all([
      this.database.run<SessionRecord & Row>(
        'session-list',
        `${RECORD} AND ($3::uuid IS NULL OR s.agent_id = $3) AND ($4::uuid IS NULL OR s.id < $4) ORDER BY s.id DESC LIMIT $5`,
        [tenant_id, user_id, query.agent_id ?? null, query.cursor ?? null, query.limit + 1],
      ),
      this.database.run<{ total: number }>(
        'session-count',
        `SELECT count(*) AS total FROM sessions
         WHERE tenant_id = $1 AND user_id = $2 AND deleted_at IS NULL AND ($3::uuid IS NULL OR agent_id = $3)`,
        [tenant_id, user_id, query.agent_id ?? null],
      ),
    ]);
    const page = rows.slice(0, query.limit);
    const next_cursor = rows.length > query.limit ? (page.at(-1)?.id ?? null) : null;
    return { rows: page, total: counted?.total ?? 0, next_cursor };
  }

  async update(
    principal: Principal,
    id: string,
    change: (config: SessionConfig) => SessionConfig,
  ): Promise<SessionRecord | null> {
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
    return this.get(principal, found.id);
  }

  async messages(principal: Principal, id: string, limit: number, before?: string): Promise<TranscriptPage | null> {
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
         SELECT m.reply_id, m.step, m.position, m.data
         FROM (SELECT DISTINCT position FROM messages
               WHERE tenant_id = s.tenant_id AND session_id = s.id AND position > 0 AND removed_at IS NULL
                 AND ($4::text IS NULL OR position < b.position)
               ORDER BY position DESC LIMIT $5) p
         JOIN messages m ON m.tenant_id = s.tenant_id AND m.session_id = s.id AND m.position = p.position) m ON true
       WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.id = $3 AND s.deleted_at IS NULL
       ORDER BY m.position, m.step`,
      [principal.tenant_id, principal.user_id, id, before ?? null, limit + 1],
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
