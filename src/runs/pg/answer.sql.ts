/** Whether run `r` waits for the answer to approval `a`. */
const IS_OPEN = `(a.status = 'pending' AND r.status IN ('running', 'waiting') AND r.stop_mode IS NULL AND EXISTS (
  SELECT 1 FROM jsonb_array_elements(r.open_calls) c WHERE c->>'tool_call_id' = a.tool_call_id AND c->>'kind' = a.kind))`;

const ASKED = `
  SELECT a.tool_call_id, a.tool_name, a.kind, a.status, a.input_hash, a.answer_hash, a.run_id, a.reply_id, a.user_id, ${IS_OPEN} AS is_open
  FROM approvals a JOIN runs r ON r.tenant_id = a.tenant_id AND r.id = a.run_id
  WHERE a.tenant_id = $1 AND a.session_id = $2`;

/** $1 tenant, $2 session, $3 user, $4 reply, $5 ids of the calls. This and the next ones: the lease row is locked. */
export const ASKED_ABOUT = `${ASKED} AND a.user_id = $3 AND a.reply_id = $4 AND a.tool_call_id = ANY($5::text[])`;

/** $1 tenant, $2 session, $3 user: what a parked run waits for. */
export const AWAITED = `${ASKED} AND a.user_id = $3 AND r.status = 'waiting' AND ${IS_OPEN} ORDER BY a.id`;

/** $1 tenant, $2 session: what nobody answered in time. */
export const OVERDUE = `${ASKED} AND a.status = 'pending' AND a.expires_at <= clock_timestamp() ORDER BY a.id`;

/** $1 tenant, $2 session, $3 user, $4 message: the run that went on with it. */
export const TURNED_DOWN = `
  SELECT a.run_id FROM approvals a
  WHERE a.tenant_id = $1 AND a.session_id = $2 AND a.user_id = $3 AND a.decision->>'message_id' = $4 LIMIT 1`;

/** $1 tenant, $2 session, $3 message: whether it was said before, so that it is no answer to what came after it. */
export const SAID_BEFORE = `
  SELECT 1 FROM messages WHERE tenant_id = $1 AND session_id = $2 AND reply_id = $3 AND step = 0`;

/** $1 how many: sessions with approvals that are overdue, found without a lock. */
export const OVERDUE_SESSIONS = `
  SELECT a.tenant_id, a.session_id FROM approvals a
  JOIN session_leases l ON l.tenant_id = a.tenant_id AND l.session_id = a.session_id
  WHERE a.status = 'pending' AND a.expires_at <= clock_timestamp()
  GROUP BY a.tenant_id, a.session_id ORDER BY min(a.expires_at) LIMIT $1`;

/** $1 tenant, $2 session, $3 reply, $4 ids of the calls: nothing waits for them any more. */
export const VOID = `
  UPDATE approvals SET status = 'voided', decided_at = now()
  WHERE tenant_id = $1 AND session_id = $2 AND reply_id = $3 AND tool_call_id = ANY($4::text[]) AND status = 'pending'`;

/** $1 tenant, $2 session, $3 reply, $4 run, $5 `SettledCall[]` as JSON, $6 who, $7 input, $8 its payload. */
export const SETTLE = `
  WITH x AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($5::jsonb) AS x (tool_call_id text, kind text, status text, decision jsonb, answer_hash text)
  ), settled AS (
    UPDATE approvals a SET status = x.status, decided_at = now(), decided_by = $6, decision = x.decision, answer_hash = x.answer_hash FROM x
    WHERE a.tenant_id = $1 AND a.session_id = $2 AND a.reply_id = $3 AND a.tool_call_id = x.tool_call_id AND a.kind = x.kind
  ), answered AS (
    UPDATE runs r SET open_calls = (
      SELECT coalesce(jsonb_agg(c), '[]') FROM jsonb_array_elements(r.open_calls) c
      WHERE NOT EXISTS (SELECT 1 FROM x WHERE x.tool_call_id = c->>'tool_call_id'))
    WHERE r.tenant_id = $1 AND r.id = $4
  ), input AS (
    INSERT INTO session_inputs (tenant_id, id, session_id, run_id, kind, payload) VALUES ($1, $7, $2, $4, 'answer', $8::jsonb)
  )
  UPDATE session_leases SET signals = signals + 1 WHERE tenant_id = $1 AND session_id = $2`;

/** $1 tenant, $2 session. */
export const LOCK_RULES = `
  SELECT coalesce(config->'permission_rules', '[]') AS rules FROM sessions WHERE tenant_id = $1 AND id = $2 FOR NO KEY UPDATE`;

/** $1 tenant, $2 session, $3 all rules. */
export const STORE_RULES = `
  UPDATE sessions SET config = jsonb_set(config, '{permission_rules}', $3::jsonb), version = version + 1, updated_at = now()
  WHERE tenant_id = $1 AND id = $2`;
