import { MAX_HINTS } from './inbox.sql.js';
import { hasWork, inMs, isFree } from './lease.sql.js';

const OF_SESSION = (alias: string, of: string): string =>
  `${alias}.tenant_id = ${of}.tenant_id AND ${alias}.session_id = ${of}.session_id`;

/**
 * Locks up to $1 sessions that nobody holds and that have something to do. What was begun comes first (a holder that died or handed over,
 * an answer, a stop); then queued runs, the tenants with the fewest runs at work first, each tenant's oldest first.
 */
export const FIND = `
  WITH RECURSIVE tenant AS (
    (SELECT tenant_id FROM runs WHERE status = 'queued' ORDER BY tenant_id LIMIT 1)
    UNION ALL
    SELECT (SELECT r.tenant_id FROM runs r WHERE r.status = 'queued' AND r.tenant_id > t.tenant_id ORDER BY r.tenant_id LIMIT 1)
    FROM tenant t WHERE t.tenant_id IS NOT NULL
  ), at_work AS (
    SELECT tenant_id, count(*) AS runs FROM runs WHERE status = 'running' GROUP BY tenant_id
  ), found AS (
    SELECT r.tenant_id, r.session_id, 0 AS share, r.accepted_at AS since
    FROM runs r JOIN session_leases l ON l.tenant_id = r.tenant_id AND l.session_id = r.session_id
    WHERE r.status = 'running' AND ${isFree('l')}
    UNION ALL
    SELECT i.tenant_id, i.session_id, 0, i.created_at
    FROM session_inputs i JOIN session_leases l ON l.tenant_id = i.tenant_id AND l.session_id = i.session_id
    WHERE i.kind <> 'message' AND (i.kind <> 'hint' OR l.waiting_run_id IS NULL) AND ${isFree('l')}
    UNION ALL
    SELECT t.tenant_id, q.session_id, coalesce(w.runs, 0) + row_number() OVER (PARTITION BY t.tenant_id ORDER BY q.accepted_at), q.accepted_at
    FROM tenant t LEFT JOIN at_work w ON w.tenant_id = t.tenant_id
    CROSS JOIN LATERAL (
      SELECT r.session_id, r.accepted_at
      FROM runs r JOIN session_leases l ON l.tenant_id = r.tenant_id AND l.session_id = r.session_id
      WHERE r.status = 'queued' AND r.tenant_id = t.tenant_id AND ${isFree('l')} AND ${hasWork('l')}
        -- A session stands for its first run alone: what is behind that neither counts nor hides others.
        AND r.id = (SELECT i.run_id FROM session_inputs i WHERE ${OF_SESSION('i', 'r')} AND i.kind = 'message' ORDER BY i.position LIMIT 1)
      ORDER BY r.accepted_at LIMIT $1) q
  ), first AS (
    SELECT tenant_id, session_id, min(share) AS share, min(since) AS since FROM found GROUP BY tenant_id, session_id
  )
  SELECT l.tenant_id, l.session_id FROM first f
  JOIN session_leases l ON l.tenant_id = f.tenant_id AND l.session_id = f.session_id
  WHERE ${isFree('l')} AND ${hasWork('l')}
  ORDER BY f.share, f.since LIMIT $1 FOR UPDATE OF l SKIP LOCKED`;

/** Numbers a dead holder may have given beyond what it committed: the next one starts above them. */
const SEQ_JUMP = 2 ** 20;

/**
 * Gives each of the locked sessions ($1 tenants, $2 sessions) its next work. $3 owner, $4 lease ms or null when it is held by that owner
 * already, $5 and $6 the last outage of the database as this node saw it, $7 ms a holder needs after one to renew. A run that the holder took
 * before (the answer was lost) is given again. A lease that ran out counts as an attempt only if its holder had a database to renew it in.
 */
export const TAKE = `
  WITH k AS (
    SELECT l.*, $4::int IS NOT NULL AS claims,
      CASE WHEN $4::int IS NOT NULL AND l.lease_owner IS NOT NULL THEN ${SEQ_JUMP} ELSE 0 END AS jump,
      coalesce(l.lease_run_id,
        (SELECT i.run_id FROM session_inputs i WHERE ${OF_SESSION('i', 'l')} AND i.run_id = l.waiting_run_id AND i.kind IN ('answer', 'stop') LIMIT 1),
        CASE WHEN l.waiting_run_id IS NULL THEN (
          SELECT i.run_id FROM session_inputs i WHERE ${OF_SESSION('i', 'l')} AND i.kind = 'message'
            AND NOT (i.run_id = l.collect_run_id AND l.collect_until > clock_timestamp()) IS TRUE
          ORDER BY i.position LIMIT 1) END) AS next_run_id
    FROM unnest($1::text[], $2::uuid[]) AS s (tenant_id, session_id)
    JOIN session_leases l ON l.tenant_id = s.tenant_id AND l.session_id = s.session_id
  ), w AS MATERIALIZED (
    SELECT k.*, s.state, r.state_before, r.structured_schema, r.id AS run_id, r.reply_id, r.user_id, r.stop_mode AS run_stop_mode, r.resumed_at, r.attempt, r.work_ms, r.open_calls, CASE
        WHEN r.id IS NULL THEN 'idle'
        WHEN r.status = 'queued' THEN 'next'
        WHEN r.status = 'waiting' THEN 'resumed'
        WHEN NOT k.claims THEN 'taken'
        WHEN k.lease_owner IS NULL THEN 'handed_over'
        ELSE 'abandoned' END AS kind,
      k.lease_expires_at IS NULL OR (k.lease_expires_at >= pg_postmaster_start_time() + $7::int * interval '1 millisecond'
        AND ($5::timestamptz IS NULL OR NOT k.lease_expires_at BETWEEN $5::timestamptz AND $6::timestamptz)) AS counts,
      (SELECT count(*) FROM messages m WHERE ${OF_SESSION('m', 'k')} AND m.run_id = r.id AND m.position < 0 AND r.status = 'queued') AS said
    FROM k JOIN sessions s ON s.tenant_id = k.tenant_id AND s.id = k.session_id
    LEFT JOIN runs r ON r.tenant_id = k.tenant_id AND r.id = k.next_run_id
  ), lease AS (
    UPDATE session_leases l SET
      lease_token      = l.lease_token + w.claims::int,
      lease_owner      = $3,
      lease_expires_at = CASE WHEN w.claims THEN ${inMs('$4')} ELSE l.lease_expires_at END,
      lease_run_id     = w.run_id,
      waiting_run_id   = CASE WHEN w.kind = 'resumed' THEN NULL ELSE l.waiting_run_id END,
      stop_run_id      = CASE WHEN w.run_stop_mode IS NOT NULL THEN w.run_id END,
      stop_mode        = w.run_stop_mode,
      reply_seq        = CASE WHEN w.kind = 'next' THEN l.last_seq + w.jump ELSE l.reply_seq END,
      last_seq         = l.last_seq + w.jump + CASE WHEN w.kind = 'next' THEN w.said ELSE 0 END,
      pending          = l.pending - (w.kind = 'next')::int,
      -- Counted anew: the row is locked, and this statement sees all that was put in before.
      signals          = (SELECT count(*) FROM session_inputs i WHERE ${OF_SESSION('i', 'w')} AND i.kind NOT IN ('message', 'hint')),
      hints            = (SELECT count(*) FROM session_inputs i WHERE ${OF_SESSION('i', 'w')} AND i.kind = 'hint')
    FROM w WHERE ${OF_SESSION('l', 'w')}
    RETURNING l.tenant_id, l.session_id, l.lease_token, l.last_seq
  ), run AS (
    UPDATE runs r SET
      status     = 'running',
      attempt    = r.attempt + (w.kind = 'next' OR (w.kind = 'abandoned' AND w.counts))::int,
      owner      = $3,
      started_at = coalesce(r.started_at, now()),
      resumed_at = now(),
      work_ms    = r.work_ms + CASE WHEN w.kind = 'abandoned'
        THEN greatest(0, extract(epoch FROM least(now(), w.lease_expires_at) - r.resumed_at) * 1000)::bigint ELSE 0 END,
      trail      = coalesce(r.trail, '[]') || jsonb_build_array(
        jsonb_build_object('at', now(), 'event', CASE w.kind
            WHEN 'next' THEN 'claimed' WHEN 'abandoned' THEN 'recovered' WHEN 'handed_over' THEN 'taken_over' ELSE w.kind END,
          'node', $3::text, 'lease_token', w.lease_token + w.claims::int)
        || CASE WHEN w.kind = 'abandoned' THEN jsonb_build_object('lost_by', w.lease_owner, 'lease_expired_at', w.lease_expires_at,
            'attempt_counted', w.counts) ELSE '{}' END)
    FROM w WHERE r.tenant_id = w.tenant_id AND r.id = w.run_id AND w.kind <> 'taken'
    RETURNING r.tenant_id, r.id, r.attempt, r.work_ms
  ), input AS (
    DELETE FROM session_inputs i USING w WHERE w.kind = 'next' AND ${OF_SESSION('i', 'w')} AND i.run_id = w.run_id AND i.kind = 'message'
  ), placed AS (
    UPDATE messages m SET position = p.position FROM (
      SELECT q.tenant_id, q.session_id, q.reply_id, w.last_seq + w.jump + row_number() OVER (PARTITION BY w.tenant_id, w.session_id ORDER BY q.position) AS position
      FROM w JOIN messages q ON ${OF_SESSION('q', 'w')} AND q.run_id = w.run_id AND q.position < 0 WHERE w.kind = 'next') p
    WHERE ${OF_SESSION('m', 'p')} AND m.reply_id = p.reply_id AND m.step = 0
    RETURNING m.tenant_id, m.session_id, m.reply_id, m.position, m.data
  )
  SELECT w.tenant_id, w.session_id, w.kind, w.run_id, w.reply_id, w.user_id, w.run_stop_mode AS stop, w.last_seq AS committed_seq, w.open_calls,
         w.state, w.state_before, w.structured_schema,
         lease.lease_token AS token, lease.last_seq, coalesce(run.attempt, w.attempt) AS attempt, coalesce(run.work_ms, w.work_ms) AS work_ms,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('reply_id', p.reply_id, 'position', p.position, 'data', p.data) ORDER BY p.position), '[]')
          FROM placed p WHERE ${OF_SESSION('p', 'w')}) AS messages,
         (SELECT coalesce(jsonb_agg(jsonb_build_object('id', i.id, 'run_id', i.run_id, 'kind', i.kind, 'payload', i.payload) ORDER BY i.position), '[]')
          FROM (
            SELECT i.* FROM session_inputs i WHERE ${OF_SESSION('i', 'w')} AND i.kind NOT IN ('message', 'hint')
            UNION ALL
            -- A parked session hears them when it goes on.
            (SELECT i.* FROM session_inputs i
             WHERE ${OF_SESSION('i', 'w')} AND i.kind = 'hint' AND (w.waiting_run_id IS NULL OR w.kind = 'resumed')
             ORDER BY i.position LIMIT ${MAX_HINTS})) i) AS signals
  FROM w JOIN lease ON ${OF_SESSION('lease', 'w')}
  LEFT JOIN run ON run.tenant_id = w.tenant_id AND run.id = w.run_id`;

/** $1 tenant, $2 session, $3 run: the messages of a run that was taken before. */
export const SAID = `
  SELECT reply_id, step, position, data FROM messages
  WHERE tenant_id = $1 AND session_id = $2 AND run_id = $3 AND role = 'user' AND position > 0 ORDER BY position`;
