import { inMs } from './lease.sql.js';

/** Queued messages stand below zero, in their order, until their run is taken. */
const QUEUED_FROM = '-4503599627370496::bigint';

/**
 * Many inputs in one statement. $1: `AcceptItem[]` as JSON, one of a session at most. Gives a row for each whose session exists.
 * `duplicate` sees what was committed before the statement began; a repetition that is committed meanwhile breaks the key of `messages`
 * and is found when the statement is tried again.
 */
export const ACCEPT = `
  WITH x AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS x (
      n int, tenant_id text, session_id uuid, user_id text, run_id uuid, reply_id uuid, input_id uuid, owner text, lease_ms int,
      has_slot bool, rejects bool, coalesce_ms int, max_pending int, session_version int, config_version bigint,
      count int, message_ids text[], messages jsonb, structured_schema jsonb)
  ), l AS MATERIALIZED (
    SELECT x.*, l.lease_owner, l.lease_token, l.lease_run_id, l.last_seq, l.pending, l.signals, l.hints, l.waiting_run_id, l.collect_run_id,
           l.collect_count,
           (l.collect_until IS NOT NULL AND l.collect_until > clock_timestamp()) AS collects
    FROM x JOIN session_leases l ON l.tenant_id = x.tenant_id AND l.session_id = x.session_id
    ORDER BY x.tenant_id, x.session_id FOR UPDATE OF l
  ), s AS MATERIALIZED (
    -- Whoever held the lease until now may have written the state while this waited for it: the lock makes the row be read anew.
    SELECT l.n, s.version, s.state FROM l JOIN sessions s ON s.tenant_id = l.tenant_id AND s.id = l.session_id
    WHERE s.user_id = l.user_id AND s.deleted_at IS NULL FOR SHARE OF s
  ), d AS MATERIALIZED (
    SELECT l.*, s.state, CASE
      WHEN s.n IS NULL THEN 'gone'
      WHEN s.version <> l.session_version OR coalesce(v.version, 0) <> l.config_version THEN 'stale'
      WHEN EXISTS (SELECT 1 FROM messages m WHERE m.tenant_id = l.tenant_id AND m.session_id = l.session_id
                   AND m.reply_id = ANY(l.message_ids)) THEN 'duplicate'
      WHEN l.rejects AND (l.lease_owner IS NOT NULL OR l.lease_run_id IS NOT NULL OR l.pending > 0 OR l.hints > 0
        OR l.waiting_run_id IS NOT NULL) THEN 'busy'
      WHEN l.collects AND l.collect_count >= l.max_pending THEN 'full'
      WHEN l.collects THEN 'joined'
      WHEN l.pending >= l.max_pending THEN 'full'
      WHEN l.has_slot AND l.coalesce_ms = 0 AND l.lease_owner IS NULL AND l.pending = 0 AND l.signals = 0 AND l.hints = 0
        AND l.waiting_run_id IS NULL AND l.lease_run_id IS NULL THEN 'taken'
      ELSE 'queued' END AS outcome
    FROM l
    LEFT JOIN s ON s.n = l.n
    LEFT JOIN config_versions v ON v.tenant_id = l.tenant_id
  ), lease AS (
    UPDATE session_leases t SET
      lease_token      = t.lease_token + (d.outcome = 'taken')::int,
      lease_owner      = CASE WHEN d.outcome = 'taken' THEN d.owner ELSE t.lease_owner END,
      lease_run_id     = CASE WHEN d.outcome = 'taken' THEN d.run_id ELSE t.lease_run_id END,
      lease_expires_at = CASE WHEN d.outcome = 'taken' THEN ${inMs('d.lease_ms')} ELSE t.lease_expires_at END,
      reply_seq        = CASE WHEN d.outcome = 'taken' THEN t.last_seq ELSE t.reply_seq END,
      last_seq         = t.last_seq + CASE WHEN d.outcome = 'taken' THEN d.count ELSE 0 END,
      pending          = t.pending + (d.outcome = 'queued')::int,
      collect_run_id   = CASE WHEN d.outcome = 'queued' THEN CASE WHEN d.coalesce_ms > 0 THEN d.run_id END ELSE t.collect_run_id END,
      collect_until    = CASE WHEN d.outcome = 'queued' THEN CASE WHEN d.coalesce_ms > 0 THEN ${inMs('d.coalesce_ms')} END
                         ELSE t.collect_until END,
      collect_count    = CASE d.outcome WHEN 'queued' THEN d.count WHEN 'joined' THEN t.collect_count + d.count ELSE t.collect_count END
    FROM d WHERE t.tenant_id = d.tenant_id AND t.session_id = d.session_id AND d.outcome IN ('taken', 'queued', 'joined')
  ), run AS (
    INSERT INTO runs (tenant_id, id, session_id, user_id, reply_id, status, attempt, owner, started_at, resumed_at, structured_schema)
    SELECT tenant_id, run_id, session_id, user_id, reply_id, CASE WHEN outcome = 'taken' THEN 'running' ELSE 'queued' END,
           (outcome = 'taken')::int, CASE WHEN outcome = 'taken' THEN owner END,
           CASE WHEN outcome = 'taken' THEN now() END, CASE WHEN outcome = 'taken' THEN now() END, structured_schema
    FROM d WHERE outcome IN ('taken', 'queued')
  ), input AS (
    INSERT INTO session_inputs (tenant_id, id, session_id, run_id, kind)
    SELECT tenant_id, input_id, session_id, run_id, 'message' FROM d WHERE outcome = 'queued'
  ), message AS (
    INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data)
    SELECT d.tenant_id, d.session_id, e.value->>'id', 0, CASE WHEN d.outcome = 'joined' THEN d.collect_run_id ELSE d.run_id END, 'user',
           e.ordinality + CASE d.outcome
             WHEN 'taken' THEN d.last_seq
             WHEN 'queued' THEN ${QUEUED_FROM}
             ELSE ${QUEUED_FROM} + d.collect_count END,
           e.value->'data'
    FROM d, jsonb_array_elements(d.messages) WITH ORDINALITY AS e
    WHERE d.outcome IN ('taken', 'queued', 'joined')
  )
  SELECT n, outcome, lease_token + (outcome = 'taken')::int AS token, last_seq + count AS last_seq, collect_run_id,
         waiting_run_id, coalesce(lease_run_id, waiting_run_id) AS blocking_run_id, CASE WHEN outcome = 'taken' THEN state END AS state
  FROM d`;

export interface AcceptItem {
  readonly n: number;
  readonly tenant_id: string;
  readonly session_id: string;
  readonly user_id: string;
  readonly run_id: string;
  readonly reply_id: string;
  readonly input_id: string;
  readonly owner: string;
  readonly lease_ms: number;
  readonly has_slot: boolean;
  readonly rejects: boolean;
  readonly coalesce_ms: number;
  readonly max_pending: number;
  readonly session_version: number;
  readonly config_version: number;
  readonly count: number;
  readonly message_ids: readonly string[];
  readonly messages: readonly { id: string; data: unknown }[];
  readonly structured_schema: Record<string, unknown> | null;
}

export const DUPLICATE = `
  SELECT m.run_id, m.role, r.status FROM messages m JOIN runs r ON r.tenant_id = m.tenant_id AND r.id = m.run_id
  WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.reply_id = ANY($3) AND m.step = 0`;

/** $1 tenant, $2 run, $3 owner: what became of an input whose answer was lost. */
export const ACCEPTED = `
  SELECT l.lease_token AS token, l.last_seq, s.state,
         -- A claim leaves a trail: whoever took it so is at work already, in this process or another.
         (l.lease_run_id = r.id AND l.lease_owner = $3 AND r.trail IS NULL AND r.attempt = 1) AS taken
  FROM runs r JOIN session_leases l ON l.tenant_id = r.tenant_id AND l.session_id = r.session_id
  JOIN sessions s ON s.tenant_id = r.tenant_id AND s.id = r.session_id
  WHERE r.tenant_id = $1 AND r.id = $2`;

/** The runs of session $2 that have not ended, found without looking at those that have. */
const OPEN_RUNS = `
  SELECT r.id, r.status, r.user_id, r.reply_id, r.open_calls, r.stop_mode FROM runs r
  WHERE r.tenant_id = $1 AND r.status IN ('queued', 'running', 'waiting') AND r.id IN (
    SELECT lease_run_id FROM session_leases WHERE tenant_id = $1 AND session_id = $2
    UNION ALL SELECT waiting_run_id FROM session_leases WHERE tenant_id = $1 AND session_id = $2
    UNION ALL SELECT run_id FROM session_inputs WHERE tenant_id = $1 AND session_id = $2 AND kind = 'message')`;

/** $1 tenant, $2 session: the run that keeps the session busy. */
export const BLOCKING = `
  SELECT id AS run_id, status, open_calls, ARRAY(
    SELECT a.id FROM approvals a
    WHERE a.tenant_id = $1 AND a.session_id = $2 AND a.run_id = r.id AND a.status = 'pending' ORDER BY a.id)::text[] AS approval_ids
  FROM (${OPEN_RUNS}) r
  ORDER BY array_position(ARRAY['running', 'waiting', 'queued'], status), id LIMIT 1`;

/** $1 tenant, $2 session, $3 who, $4 how, $5 run or null for all of the session. The lease row is locked. */
export const STOP = `
  WITH open AS (
    SELECT id, status FROM (${OPEN_RUNS}) r WHERE $5::uuid IS NULL OR id = $5
  ), asked AS (
    UPDATE runs r SET stop_requested_at = coalesce(r.stop_requested_at, now()), stop_requested_by = coalesce(r.stop_requested_by, $3),
      stop_mode = CASE WHEN $4 = 'rollback' THEN $4 ELSE coalesce(r.stop_mode, $4) END,
      status = CASE WHEN open.status = 'queued' THEN 'cancelled' ELSE r.status END,
      finished_at = CASE WHEN open.status = 'queued' THEN now() ELSE r.finished_at END
    FROM open WHERE r.tenant_id = $1 AND r.id = open.id
  ), dequeued AS (
    DELETE FROM session_inputs i USING open WHERE i.tenant_id = $1 AND i.run_id = open.id AND open.status = 'queued' AND i.kind = 'message'
  ), unsaid AS (
    DELETE FROM messages m USING open WHERE m.tenant_id = $1 AND m.session_id = $2 AND m.run_id = open.id AND open.status = 'queued'
  ), signal AS (
    INSERT INTO session_inputs (tenant_id, id, session_id, run_id, kind, payload)
    SELECT $1, gen_random_uuid(), $2, id, CASE WHEN status = 'waiting' THEN 'stop' ELSE 'notice' END,
           CASE WHEN status = 'queued' THEN jsonb_build_object('name', 'run_cancelled', 'value', jsonb_build_object('run_id', id, 'by', $3::text)) END
    FROM open WHERE status IN ('queued', 'waiting')
    RETURNING id
  ), voided AS (
    UPDATE approvals a SET status = 'voided', decided_at = now(), decided_by = $3 FROM open
    WHERE a.tenant_id = $1 AND a.session_id = $2 AND a.run_id = open.id AND a.status = 'pending' AND open.status <> 'queued'
  ), lease AS (
    UPDATE session_leases l SET
      pending        = l.pending - (SELECT count(*) FROM open WHERE status = 'queued'),
      signals        = l.signals + (SELECT count(*) FROM signal),
      stop_run_id    = CASE WHEN EXISTS (SELECT 1 FROM open WHERE status = 'running') THEN l.lease_run_id ELSE l.stop_run_id END,
      stop_mode      = CASE WHEN EXISTS (SELECT 1 FROM open WHERE status = 'running') AND l.stop_mode IS DISTINCT FROM 'rollback' THEN $4
                       ELSE l.stop_mode END,
      collect_until  = CASE WHEN EXISTS (SELECT 1 FROM open WHERE id = l.collect_run_id) THEN NULL ELSE l.collect_until END,
      collect_run_id = CASE WHEN EXISTS (SELECT 1 FROM open WHERE id = l.collect_run_id) THEN NULL ELSE l.collect_run_id END
    WHERE l.tenant_id = $1 AND l.session_id = $2
  )
  SELECT id, status FROM open`;
