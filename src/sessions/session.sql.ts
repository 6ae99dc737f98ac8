import type { SessionListQuery } from './session.schema.js';

export const IS_RUNNING = `
  (l.lease_owner IS NOT NULL OR l.lease_run_id IS NOT NULL OR l.signals > 0
   OR ((l.pending > 0 OR l.hints > 0) AND l.waiting_run_id IS NULL)) AS is_running`;

const COLUMNS = `
  s.tenant_id, s.id, s.user_id, s.agent_id, s.external_id, s.source, s.config, s.forked_from, s.created_at, s.updated_at, s.version,
  coalesce((SELECT v.version FROM config_versions v WHERE v.tenant_id = s.tenant_id), 0) AS config_version,
  ${IS_RUNNING}, l.last_seq, l.reply_seq,
  coalesce((SELECT r.open_calls FROM runs r WHERE r.tenant_id = s.tenant_id AND r.id = l.waiting_run_id), '[]') AS open_calls`;

const LEASE = `JOIN session_leases l ON l.tenant_id = s.tenant_id AND l.session_id = s.id`;
const SOURCE = `sessions s ${LEASE}`;

/** What a view shows of the state: the rest may be large, and is for whoever works on the session. */
const STATE = `jsonb_build_object('tasks_context', s.state->'tasks_context', 'tools_context', s.state->'tools_context')`;

const OWNED = 's.tenant_id = $1 AND s.user_id = $2 AND s.deleted_at IS NULL';

/** $1 tenant, $2 user. */
export const RECORD = `SELECT ${COLUMNS} FROM ${SOURCE} WHERE ${OWNED}`;
export const RECORD_WITH_STATE = `SELECT ${COLUMNS}, ${STATE} AS state FROM ${SOURCE} WHERE ${OWNED}`;

/** Bytes of state in one page of a list; the first session comes in any case. */
const PAGE_BYTES = 8 * 1024 * 1024;

interface Statement {
  readonly text: string;
  readonly values: readonly unknown[];
}

/** A page of the caller's sessions and their number. One text per kind of filter, so that each is planned for itself. */
export function listStatements(
  owner: readonly [tenant: string, user: string],
  query: SessionListQuery,
): { kind: string; page: Statement; count: Statement } {
  const values: unknown[] = [...owner];
  const conditions = [OWNED];
  const kinds: string[] = [];
  const narrow = (kind: string, value: unknown, condition: (at: string) => string) => {
    if (value === undefined) return;
    kinds.push(`-${kind}`);
    conditions.push(condition(`$${values.push(value)}`));
  };
  const { agent_id, name, metadata } = query;
  narrow('agent', agent_id, (at) => `s.agent_id = ${at}`);
  narrow('name', name && `%${name.replace(/[\\%_]/g, '\\$&')}%`, (at) => `s.config->>'name' ILIKE ${at}`);
  const marked = (at: string) =>
    `s.config->'metadata' <> '{}' AND session_marks(s.tenant_id, s.user_id, s.config->'metadata') @> ${at}`;
  const [tenant, user] = owner;
  narrow('metadata', metadata && JSON.stringify({ [tenant]: { [user]: metadata } }), marked);
  const count = {
    text: `SELECT count(*) AS total FROM sessions s WHERE ${conditions.join(' AND ')}`,
    values: [...values],
  };
  narrow('cursor', query.cursor, (at) => `s.id < ${at}`);
  // Nobody knows how rare a mark is: what it finds is found first (OFFSET 0), instead of walking to the end of all sessions for a page.
  const where = `WHERE ${conditions.join(' AND ')}`;
  const source = metadata ? `(SELECT * FROM sessions s ${where} OFFSET 0) s ${LEASE}` : `${SOURCE} ${where}`;
  const limit = `$${values.push(query.limit + 1)}`;
  const text = `
    SELECT p.*, sum(pg_column_size(p.state)) OVER (ORDER BY p.id DESC) - pg_column_size(p.state) < ${PAGE_BYTES} AS fits
    FROM (SELECT ${COLUMNS}, ${STATE} AS state FROM ${source} ORDER BY s.id DESC LIMIT ${limit}) p
    ORDER BY p.id DESC`;
  return { kind: kinds.join(''), page: { text, values }, count };
}
