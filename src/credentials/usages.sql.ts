/** $1 tenant, $2 user, $3 credential (as text, in lower case). Each look-up goes by an index of its own; an OR over both fields would go by none. */
const named = (table: 'agents' | 'sessions', column: 'data' | 'config', field: string): string => `
  SELECT id, '${field}' AS field FROM ${table}
  WHERE tenant_id = $1 AND user_id = $2 AND deleted_at IS NULL AND ${column} #>> '{${field},credential_id}' IS NOT NULL
    AND lower(${column} #>> '{${field},credential_id}') = $3`;

const both = (table: 'agents' | 'sessions', column: 'data' | 'config'): string =>
  ['chat_model_config', 'fallback_chat_model_config'].map((field) => named(table, column, field)).join(' UNION ALL ');

const AGENTS = both('agents', 'data');
const SESSIONS = both('sessions', 'config');

/** $4: how many of each kind are named. One row: `agents` and `sessions` as JSON, and their totals. */
export const USAGES = `
  WITH a AS MATERIALIZED (SELECT id, array_agg(field ORDER BY field) AS fields FROM (${AGENTS}) x GROUP BY id),
       s AS MATERIALIZED (SELECT id, array_agg(field ORDER BY field) AS fields FROM (${SESSIONS}) x GROUP BY id)
  SELECT
    (SELECT count(*) FROM a) AS agents_total,
    (SELECT count(*) FROM s) AS sessions_total,
    coalesce((SELECT jsonb_agg(row ORDER BY id DESC) FROM (
      SELECT a.id, jsonb_build_object('id', a.id, 'name', t.data->>'name', 'fields', a.fields) AS row
      FROM (SELECT * FROM a ORDER BY id DESC LIMIT $4) a JOIN agents t ON t.tenant_id = $1 AND t.id = a.id) x), '[]') AS agents,
    coalesce((SELECT jsonb_agg(row ORDER BY id DESC) FROM (
      SELECT s.id, jsonb_build_object('id', s.id, 'name', t.config->>'name', 'agent_id', t.agent_id, 'fields', s.fields) AS row
      FROM (SELECT * FROM s ORDER BY id DESC LIMIT $4) s JOIN sessions t ON t.tenant_id = $1 AND t.id = s.id) x), '[]') AS sessions`;

/** Waits for those who write a reference to it now (`hold_named_credentials`); the next statement sees what they wrote. */
export const LOCK = 'SELECT id FROM credentials WHERE tenant_id = $1 AND user_id = $2 AND id = $3 FOR UPDATE';

export const DELETE = 'DELETE FROM credentials WHERE tenant_id = $1 AND user_id = $2 AND id = $3 RETURNING id';

/** $3 again as text: the column is a uuid, the references are not. */
export const DELETE_UNUSED = `
  DELETE FROM credentials WHERE tenant_id = $1 AND user_id = $2 AND id = $3::text::uuid
    AND NOT EXISTS (${AGENTS}) AND NOT EXISTS (${SESSIONS})
  RETURNING id`;

export interface UsageRow extends Record<string, unknown> {
  readonly agents_total: number;
  readonly sessions_total: number;
  readonly agents: { id: string; name: string; fields: UsageField[] }[];
  readonly sessions: { id: string; name: string; agent_id: string; fields: UsageField[] }[];
}

type UsageField = 'chat_model_config' | 'fallback_chat_model_config';
