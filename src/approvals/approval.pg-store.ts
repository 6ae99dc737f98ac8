import { Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import { Database, type Row } from '../platform/database/database.js';
import type { Page } from '../platform/http/wire.js';
import { isUuid } from '../platform/ids.js';
import { type ApprovalQuery, type ApprovalRecord, ApprovalStore } from './approval.store.js';

const OF_USER = `
  FROM approvals a JOIN sessions s ON s.tenant_id = a.tenant_id AND s.id = a.session_id AND s.deleted_at IS NULL
  WHERE a.tenant_id = $1 AND a.user_id = $2`;

const RECORD = `
  SELECT a.id, a.session_id, s.agent_id, a.run_id, a.reply_id, a.tool_call_id, a.tool_name, a.kind, a.input, a.input_hash, a.message,
         a.suggested_rules, a.status, a.created_at, a.expires_at, a.decided_at, a.decided_by, a.decision ${OF_USER}`;

const FILTER = `
  AND ($3::text IS NULL OR a.status = $3) AND ($4::text IS NULL OR a.kind = $4) AND ($5::uuid IS NULL OR a.session_id = $5)`;

const GET = `${RECORD} AND a.id = $3`;
const LIST = `${RECORD} ${FILTER} AND ($6::uuid IS NULL OR a.id < $6) ORDER BY a.id DESC LIMIT $7`;
const COUNT = `SELECT count(*) AS total ${OF_USER} ${FILTER}`;
const CONFIRMATIONS = `
  ${RECORD} AND a.session_id = $3 AND a.reply_id = $4 AND a.tool_call_id = ANY($5::text[]) AND a.kind = 'confirm'`;

@Injectable()
export class ApprovalPgStore extends ApprovalStore {
  constructor(private readonly database: Database) {
    super();
  }

  async get({ tenant_id, user_id }: Principal, id: string): Promise<ApprovalRecord | null> {
    if (!isUuid(id)) return null;
    const [record] = await this.database.run<ApprovalRecord & Row>('approval-get', GET, [tenant_id, user_id, id]);
    return record ?? null;
  }

  async list({ tenant_id, user_id }: Principal, query: ApprovalQuery): Promise<Page<ApprovalRecord>> {
    const { limit, cursor = null, status = null, kind = null, session_id = null } = query;
    const filter = [tenant_id, user_id, status, kind, session_id];
    const [rows, [counted]] = await Promise.all([
      this.database.run<ApprovalRecord & Row>('approval-list', LIST, [...filter, cursor, limit + 1]),
      this.database.run<{ total: number }>('approval-count', COUNT, filter),
    ]);
    const page = rows.slice(0, limit);
    const next_cursor = rows.length > limit ? (page.at(-1)?.id ?? null) : null;
    return { rows: page, total: counted?.total ?? 0, next_cursor };
  }

  confirmations(
    { tenant_id, user_id }: Principal,
    sessionId: string,
    replyId: string,
    callIds: readonly string[],
  ): Promise<ApprovalRecord[]> {
    const values = [tenant_id, user_id, sessionId, replyId, callIds];
    return this.database.run<ApprovalRecord & Row>('approval-confirmations', CONFIRMATIONS, values);
  }
}
