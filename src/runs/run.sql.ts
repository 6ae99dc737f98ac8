/**
 * The statements of the run ledger. Each one decides by the row of the session's lease alone: under READ COMMITTED a subquery on
 * another table sees the old snapshot after a lock wait, the updated row itself is read anew.
 */

const FREE = '$6 AND lease_owner IS NULL AND pending = 0';

/** $1 tenant, $2 session, $3 run, $4 user, $5 reply, $6 has slot, $7 owner, $8 lease ms, $9 messages [{id, data}], $10 their number, $11 max pending, $12 input. */
export const ACCEPT = `
  WITH lease AS (
    UPDATE session_leases SET
      lease_token      = lease_token + CASE WHEN ${FREE} THEN 1 ELSE 0 END,
      lease_owner      = CASE WHEN ${FREE} THEN $7 ELSE lease_owner END,
      lease_run_id     = CASE WHEN ${FREE} THEN $3::uuid ELSE lease_run_id END,
      lease_expires_at = CASE WHEN ${FREE} THEN clock_timestamp() + $8::int * interval '1 millisecond' ELSE lease_expires_at END,
      reply_seq        = CASE WHEN ${FREE} THEN last_seq ELSE reply_seq END,
      last_seq         = last_seq + CASE WHEN ${FREE} THEN $10::int ELSE 0 END,
      pending          = pending + CASE WHEN ${FREE} THEN 0 ELSE 1 END
    WHERE tenant_id = $1 AND session_id = $2 AND pending < $11
    RETURNING lease_token, last_seq, (lease_run_id IS NOT DISTINCT FROM $3::uuid) AS taken
  ), run AS (
    INSERT INTO runs (tenant_id, id, session_id, user_id, reply_id, status, attempt, started_at)
    SELECT $1, $3, $2, $4, $5, CASE WHEN taken THEN 'running' ELSE 'queued' END, taken::int, CASE WHEN taken THEN now() END
    FROM lease
  ), input AS (
    INSERT INTO session_inputs (tenant_id, id, session_id, run_id, kind)
    SELECT $1, $12, $2, $3, 'message' FROM lease WHERE NOT taken
  ), message AS (
    INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data)
    SELECT $1, $2, m.value->>'id', 0, $3, 'user',
           m.ordinality - $10::int + CASE WHEN taken THEN last_seq ELSE -1 END, m.value->'data'
    FROM lease, jsonb_array_elements($9::jsonb) WITH ORDINALITY AS m
  )
  SELECT lease_token, last_seq, taken FROM lease`;

export const LEASE_EXISTS = 'SELECT 1 FROM session_leases WHERE tenant_id = $1 AND session_id = $2';

export const DUPLICATE = `
  SELECT m.run_id, m.role, r.status FROM messages m JOIN runs r ON r.tenant_id = m.tenant_id AND r.id = m.run_id
  WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.reply_id = ANY($3) LIMIT 1`;

const HELD = 'tenant_id = $1 AND session_id = $2 AND lease_token = $3 AND lease_owner = $4';

const UPSERT_STEP = `
    INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data)
    SELECT $1, $2, $6, $7, $8, 'assistant', $9, $10::jsonb FROM lease
    ON CONFLICT (tenant_id, session_id, reply_id, step) DO UPDATE SET data = EXCLUDED.data`;

/** Holder $1–$4, $5 last seq, $6 reply, $7 step, $8 run, $9 position, $10 data. */
export const CHECKPOINT = `
  WITH lease AS (UPDATE session_leases SET last_seq = $5 WHERE ${HELD} RETURNING last_seq),
  step AS (${UPSERT_STEP})
  SELECT last_seq FROM lease`;

/** As CHECKPOINT, $11 status, $12 usage, $13 error. Gives the lease back only when nothing waits. */
export const FINISH = `
  WITH lease AS (
    UPDATE session_leases SET
      lease_owner      = CASE WHEN pending = 0 THEN NULL ELSE lease_owner END,
      lease_expires_at = CASE WHEN pending = 0 THEN NULL ELSE lease_expires_at END,
      lease_run_id     = NULL,
      last_seq         = $5
    WHERE ${HELD}
    RETURNING lease_owner IS NULL AS released
  ), run AS (
    UPDATE runs SET status = $11, finished_at = now(), usage = $12, error = $13
    FROM lease WHERE tenant_id = $1 AND id = $8
  ), step AS (${UPSERT_STEP})
  SELECT released FROM lease`;

export const STEPS = `
  SELECT reply_id, step, position, data FROM messages
  WHERE tenant_id = $1 AND session_id = $2 AND reply_id = $3 ORDER BY step`;

/** The lease row is locked before the inputs are looked at, so this sees every input accepted before. */
export const LOCK = 'SELECT 1 FROM session_leases WHERE tenant_id = $1 AND session_id = $2 FOR UPDATE';

export const NEXT_INPUT = `
  DELETE FROM session_inputs WHERE (tenant_id, id) = (
    SELECT i.tenant_id, i.id FROM session_inputs i
    JOIN session_leases l ON l.tenant_id = i.tenant_id AND l.session_id = i.session_id
    WHERE l.tenant_id = $1 AND l.session_id = $2 AND l.lease_token = $3 AND l.lease_owner = $4
    ORDER BY i.position LIMIT 1)
  RETURNING run_id`;

/** Holder $1–$4, $5 run. */
export const TAKE = `
  WITH run AS (
    UPDATE runs SET status = 'running', attempt = attempt + 1, started_at = now()
    WHERE tenant_id = $1 AND id = $5 RETURNING id, reply_id, user_id
  ), lease AS (
    UPDATE session_leases SET
      pending = pending - 1, lease_run_id = $5, reply_seq = last_seq,
      last_seq = last_seq + (SELECT count(*) FROM messages WHERE tenant_id = $1 AND session_id = $2 AND run_id = $5)
    WHERE ${HELD} RETURNING last_seq
  )
  SELECT run.id AS run_id, reply_id, user_id, last_seq FROM run, lease`;

/** $1 tenant, $2 session, $3 run, $4 last seq. Queued messages hold -n … -1 in their order. */
export const PLACE_MESSAGES = `
  WITH placed AS (
    UPDATE messages SET position = $4::bigint + 1 + position
    WHERE tenant_id = $1 AND session_id = $2 AND run_id = $3 AND position < 0
    RETURNING reply_id, step, position, data)
  SELECT reply_id, step, position, data FROM placed ORDER BY position`;

export const RELEASE = `
  UPDATE session_leases SET lease_owner = NULL, lease_expires_at = NULL, lease_run_id = NULL, pending = 0 WHERE ${HELD}`;

/** $1 owner, $2 lease ms. A session is runnable when nobody holds it and it has a queued run, or its holder is gone. */
export const CLAIM = `
  UPDATE session_leases l SET
    lease_token = lease_token + 1, lease_owner = $1, lease_expires_at = clock_timestamp() + $2::int * interval '1 millisecond'
  FROM (
    SELECT c.tenant_id, c.session_id FROM runs r
    JOIN session_leases c ON c.tenant_id = r.tenant_id AND c.session_id = r.session_id
    WHERE r.status IN ('queued', 'running')
      AND (c.lease_owner IS NULL OR c.lease_expires_at < clock_timestamp())
      AND (r.status = 'running' OR c.pending > 0)
    ORDER BY r.accepted_at LIMIT 1 FOR UPDATE OF c SKIP LOCKED) found
  WHERE l.tenant_id = found.tenant_id AND l.session_id = found.session_id
  RETURNING l.tenant_id, l.session_id, l.lease_token AS token`;

/** Holder $1–$4, $5 jump. The run a dead holder left; its numbers are jumped over. */
export const ABANDONED = `
  WITH run AS (
    UPDATE runs SET attempt = attempt + 1 WHERE tenant_id = $1 AND session_id = $2 AND status = 'running'
    RETURNING id, reply_id, user_id, attempt
  ), lease AS (
    UPDATE session_leases SET lease_run_id = run.id, last_seq = last_seq + $5::bigint
    FROM run WHERE ${HELD} RETURNING last_seq
  )
  SELECT id AS run_id, reply_id, user_id, attempt, last_seq, last_seq - $5::bigint AS committed_seq FROM run, lease`;

/** $1 tenants, $2 sessions, $3 tokens, $4 owners, $5 lease ms: one statement for all sessions of a node. */
export const RENEW = `
  WITH held AS (
    UPDATE session_leases l SET lease_expires_at = clock_timestamp() + $5::int * interval '1 millisecond'
    FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) AS h (tenant_id, session_id, token, owner)
    WHERE l.tenant_id = h.tenant_id AND l.session_id = h.session_id AND l.lease_token = h.token AND l.lease_owner = h.owner
    RETURNING l.tenant_id, l.session_id, l.lease_run_id)
  SELECT held.tenant_id, held.session_id, r.id AS stop_run_id
  FROM held LEFT JOIN runs r
    ON r.tenant_id = held.tenant_id AND r.id = held.lease_run_id AND r.stop_requested_at IS NOT NULL`;

/** $1 tenant, $2 session, $3 who. */
export const STOP_RUNNING = `
  UPDATE runs SET stop_requested_at = coalesce(stop_requested_at, now()), stop_requested_by = coalesce(stop_requested_by, $3)
  WHERE tenant_id = $1 AND session_id = $2 AND status = 'running' RETURNING id`;

export const CANCEL_QUEUED = `
  WITH run AS (
    UPDATE runs SET status = 'cancelled', finished_at = now(), stop_requested_at = now(), stop_requested_by = $3
    WHERE tenant_id = $1 AND session_id = $2 AND status = 'queued' RETURNING id
  ), input AS (
    DELETE FROM session_inputs i USING run WHERE i.tenant_id = $1 AND i.run_id = run.id
  ), message AS (
    DELETE FROM messages m USING run WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.run_id = run.id
  ), lease AS (
    UPDATE session_leases SET pending = pending - (SELECT count(*) FROM run) WHERE tenant_id = $1 AND session_id = $2
  )
  SELECT id FROM run`;

export const EXPIRE_ALL = `
  UPDATE session_leases SET lease_expires_at = clock_timestamp() - interval '1 second'
  WHERE lease_owner IS NOT NULL RETURNING session_id`;
