/** Hints that are read at once. */
export const MAX_HINTS = 100;

/** Hints, and signals of nobody's run, that may wait in one session. */
const MAX_WAITING = 1000;

/**
 * $1 tenant, $2 session, $3 user, $4 input, $5 payload. Gives the session's row, if it is the user's, and whether there is room; an input of
 * this id that waits already is not put in again.
 */
const deliver = (kind: 'hint' | 'notice', counter: 'hints' | 'signals'): string => `
  WITH l AS MATERIALIZED (
    SELECT l.${counter} FROM session_leases l WHERE l.tenant_id = $1 AND l.session_id = $2 FOR UPDATE
  ), d AS MATERIALIZED (
    SELECT l.${counter} < ${MAX_WAITING} AS fits FROM l
    WHERE EXISTS (SELECT 1 FROM sessions s WHERE s.tenant_id = $1 AND s.id = $2 AND s.user_id = $3 AND s.deleted_at IS NULL)
  ), input AS (
    INSERT INTO session_inputs (tenant_id, id, session_id, kind, payload)
    SELECT $1, $4, $2, '${kind}', $5::jsonb FROM d WHERE d.fits
    ON CONFLICT (tenant_id, id) DO NOTHING RETURNING id
  ), lease AS (
    UPDATE session_leases SET ${counter} = ${counter} + 1 FROM input WHERE tenant_id = $1 AND session_id = $2
  )
  SELECT fits FROM d`;

export const HINT = deliver('hint', 'hints');
export const NOTIFY = deliver('notice', 'signals');

/** $1 tenant, $2 session, $3 token, $4 owner. */
export const HINTS = `
  SELECT i.id, i.run_id, i.kind, i.payload FROM session_leases l
  JOIN session_inputs i ON i.tenant_id = l.tenant_id AND i.session_id = l.session_id AND i.kind = 'hint'
  WHERE l.tenant_id = $1 AND l.session_id = $2 AND l.lease_token = $3 AND l.lease_owner = $4
  ORDER BY i.position LIMIT ${MAX_HINTS}`;

/** $1 tenant, $2 session, $3 run, $4 reply, $5 owner. The lease row is locked. Does nothing when a run is at work, was made before, or is parked. */
export const WAKE = `
  WITH run AS (
    INSERT INTO runs (tenant_id, id, session_id, user_id, reply_id, status, attempt, owner, started_at, resumed_at, trail)
    SELECT l.tenant_id, $3, l.session_id, s.user_id, $4, 'running', 1, $5, now(), now(), jsonb_build_array(
      jsonb_build_object('at', now(), 'event', 'woken', 'node', $5::text, 'lease_token', l.lease_token))
    FROM session_leases l JOIN sessions s ON s.tenant_id = l.tenant_id AND s.id = l.session_id
    WHERE l.tenant_id = $1 AND l.session_id = $2 AND l.lease_run_id IS NULL AND l.waiting_run_id IS NULL AND l.hints > 0
    ON CONFLICT (tenant_id, id) DO NOTHING RETURNING id
  )
  UPDATE session_leases l SET lease_run_id = run.id, reply_seq = l.last_seq FROM run WHERE l.tenant_id = $1 AND l.session_id = $2`;
