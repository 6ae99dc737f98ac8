import { Injectable } from '@nestjs/common';
import type { Principal } from '../../auth/principal.js';
import { Database, type Row } from '../../platform/database/database.js';
import type { Page } from '../../platform/http/wire.js';
import { isUuid } from '../../platform/ids.js';
import { RunRecordStore, type RunQuery, type RunRecord, type RunTrail, type TrailEntry } from '../run-record.store.js';

const RECORD = `
  SELECT r.id, r.session_id, s.agent_id, r.reply_id, r.status, r.attempt, r.accepted_at, r.started_at, r.finished_at, r.work_ms, r.usage,
         r.error, r.stop_requested_at, r.stop_requested_by, r.stop_mode, r.open_calls, r.owner,
         (r.status = 'waiting' AND (r.open_calls = '[]' OR r.stop_requested_at IS NOT NULL)) AS goes_on
  FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL
  WHERE r.tenant_id = $1 AND s.user_id = $2`;

const GET = `${RECORD} AND r.id = $3`;

const LIST = `
  ${RECORD} AND r.session_id = $3 AND ($4::uuid IS NULL OR r.id < $4) AND ($5::text IS NULL OR r.status = $5)
  ORDER BY r.id DESC LIMIT $6`;

const COUNT = `
  SELECT count(*) AS total FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL
  WHERE r.tenant_id = $1 AND s.user_id = $2 AND r.session_id = $3 AND ($4::text IS NULL OR r.status = $4)`;

const TRAIL = `
  SELECT coalesce(r.trail, '[]') AS trail,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('step', m.step, 'at', m.created_at) ORDER BY m.step), '[]') FROM messages m
     WHERE m.tenant_id = r.tenant_id AND m.session_id = r.session_id AND m.reply_id = r.reply_id::text) AS steps,
    (SELECT coalesce(jsonb_agg(jsonb_build_object('tool_call_id', t.tool_call_id, 'name', t.name, 'state', t.state,
       'started_at', t.started_at, 'settled_at', t.settled_at) ORDER BY t.started_at), '[]') FROM tool_calls t
     WHERE t.tenant_id = r.tenant_id AND t.session_id = r.session_id AND t.reply_id = r.reply_id::text) AS tool_calls,
    (SELECT jsonb_build_object('owner', l.lease_owner, 'token', l.lease_token, 'expires_at', l.lease_expires_at) FROM session_leases l
     WHERE l.tenant_id = r.tenant_id AND l.session_id = r.session_id AND l.lease_run_id = r.id) AS lease
  FROM runs r JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id AND s.deleted_at IS NULL
  WHERE r.tenant_id = $1 AND s.user_id = $2 AND r.id = $3`;

const CURRENT = `
  ${RECORD} AND r.id = (
    SELECT coalesce(l.lease_run_id, l.waiting_run_id, (
      SELECT n.id FROM runs n WHERE n.tenant_id = $1 AND n.session_id = $3 ORDER BY n.id DESC LIMIT 1))
    FROM session_leases l WHERE l.tenant_id = $1 AND l.session_id = $3)`;

@Injectable()
export class RunRecordPgStore extends RunRecordStore {
  constructor(private readonly database: Database) {
    super();
  }

  async get({ tenant_id, user_id }: Principal, id: string): Promise<RunRecord | null> {
    if (!isUuid(id)) return null;
    const [record] = await this.database.run<RunRecord & Row>('run-get', GET, [tenant_id, user_id, id]);
    return record ?? null;
  }

  async list({ tenant_id, user_id }: Principal, sessionId: string, query: RunQuery): Promise<Page<RunRecord>> {
    const { limit, cursor = null, status = null } = query;
    const [rows, [counted]] = await Promise.all([
      this.database.run<RunRecord & Row>('run-list', LIST, [tenant_id, user_id, sessionId, cursor, status, limit + 1]),
      this.database.run<{ total: number }>('run-count', COUNT, [tenant_id, user_id, sessionId, status]),
    ]);
    const page = rows.slice(0, limit);
    const next_cursor = rows.length > limit ? (page.at(-1)?.id ?? null) : null;
    return { rows: page, total: counted?.total ?? 0, next_cursor };
  }

  async trail({ tenant_id, user_id }: Principal, id: string): Promise<RunTrail | null> {
    if (!isUuid(id)) return null;
    type Found = Omit<RunTrail, 'trail'> & { trail: TrailEntry[] } & Row;
    const [found] = await this.database.run<Found>('run-trail', TRAIL, [tenant_id, user_id, id]);
    return found ?? null;
  }

  async current({ tenant_id, user_id }: Principal, sessionId: string): Promise<RunRecord | null> {
    const [record] = await this.database.run<RunRecord & Row>('run-current', CURRENT, [tenant_id, user_id, sessionId]);
    return record ?? null;
  }
}
