/**
 * What the statements of the run ledger share. Each one decides by the row of the session's lease alone: under READ COMMITTED a subquery on
 * another table sees the old snapshot after a lock wait, the locked row itself is read anew. Whoever locks the lease and the row of a session
 * locks the lease first.
 */

/** Queued runs of lease `l` that may start: one that still collects messages is always the last in the queue. */
export const startable = (l: string): string =>
  `${l}.pending - (${l}.collect_until IS NOT NULL AND ${l}.collect_until > clock_timestamp())::int`;

/** Whether the session of lease `l` has something to do, whoever holds it. */
export const hasWork = (l: string): string =>
  `(${l}.lease_run_id IS NOT NULL OR ${l}.signals > 0 OR (${l}.waiting_run_id IS NULL AND (${startable(l)} > 0 OR ${l}.hints > 0)))`;

/** Whether nobody holds lease `l`: it was given back (no owner), ran out, or its holder is known to be dead (no time). */
export const isFree = (l: string): string =>
  `(${l}.lease_owner IS NULL OR ${l}.lease_expires_at IS NULL OR ${l}.lease_expires_at < clock_timestamp())`;

export const inMs = (parameter: string): string => `clock_timestamp() + ${parameter}::int * interval '1 millisecond'`;

export const LEASE_EXISTS = 'SELECT 1 FROM session_leases WHERE tenant_id = $1 AND session_id = $2';

/** The lease row is locked before the inputs are looked at, so that the next statement sees every input accepted before. */
export const LOCK = 'SELECT 1 FROM session_leases WHERE tenant_id = $1 AND session_id = $2 FOR UPDATE';

export const LOCK_HELD = `
  SELECT 1 FROM session_leases
  WHERE tenant_id = $1 AND session_id = $2 AND lease_token = $3 AND lease_owner = $4 FOR UPDATE`;

/** $1 tenants, $2 sessions, $3 tokens, $4 owners, $5 lease ms: one statement for all sessions of a node. */
export const RENEW = `
  WITH held AS MATERIALIZED (
    SELECT l.tenant_id, l.session_id
    FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) AS h (tenant_id, session_id, token, owner)
    JOIN session_leases l ON l.tenant_id = h.tenant_id AND l.session_id = h.session_id
      AND l.lease_token = h.token AND l.lease_owner = h.owner
    ORDER BY l.tenant_id, l.session_id FOR UPDATE OF l)
  UPDATE session_leases l SET lease_expires_at = ${inMs('$5')}
  FROM held WHERE l.tenant_id = held.tenant_id AND l.session_id = held.session_id
  RETURNING l.tenant_id, l.session_id, l.stop_run_id, l.stop_mode`;

/** As RENEW without writing: only those that are to stop. */
export const STOPS = `
  SELECT l.tenant_id, l.session_id, l.stop_run_id, l.stop_mode
  FROM unnest($1::text[], $2::uuid[], $3::bigint[], $4::text[]) AS h (tenant_id, session_id, token, owner)
  JOIN session_leases l ON l.tenant_id = h.tenant_id AND l.session_id = h.session_id
  WHERE l.lease_token = h.token AND l.lease_owner = h.owner AND l.stop_run_id IS NOT NULL`;

export const EXPIRE_ALL = `
  UPDATE session_leases SET lease_expires_at = NULL WHERE lease_owner IS NOT NULL RETURNING session_id`;

export const STEPS = `
  SELECT reply_id, step, position, data FROM messages
  WHERE tenant_id = $1 AND session_id = $2 AND reply_id = $3 ORDER BY step`;
