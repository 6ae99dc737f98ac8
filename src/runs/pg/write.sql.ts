import { startable } from './lease.sql.js';

const OPEN = `greatest(0, extract(epoch FROM now() - r.resumed_at) * 1000)::bigint`;

/**
 * What holders write, many in one statement. $1: `WriteItem[]` as JSON, one of a session at most. Gives a row for each holder that still is
 * one. A run that was asked to stop is neither completed nor parked, and one that is to be rolled back not just interrupted (`stopped`, nothing is written). The lease is given back when the
 * session has nothing to do: the count of what waits is on the lease row itself. What few writes have stands behind a condition on all of
 * them, which is looked at once: a plan that was made while the tables were small would read these for nothing.
 */
export const WRITE = `
  WITH x AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS x (
      n int, tenant_id text, session_id uuid, token bigint, owner text, kind text, last_seq bigint, run_id uuid, reply_id text, step int,
      position bigint, data jsonb, tools jsonb, calls jsonb, consumed uuid[], status text, stoppable bool, usage jsonb, error jsonb, ending jsonb,
      open_calls jsonb, known_calls text[], remove bool, voids bool, approvals jsonb, approval_ttl_ms bigint, state jsonb, state_before jsonb)
  ), l AS MATERIALIZED (
    SELECT x.*, l.stop_run_id, l.stop_mode, l.signals, l.hints, l.waiting_run_id, ${startable('l')} AS startable,
           coalesce(l.stop_run_id = x.run_id AND (x.stoppable OR (x.kind = 'finish' AND l.stop_mode = 'rollback' AND NOT x.remove)), false) AS refused
    FROM x JOIN session_leases l ON l.tenant_id = x.tenant_id AND l.session_id = x.session_id
      AND l.lease_token = x.token AND l.lease_owner = x.owner
    ORDER BY x.tenant_id, x.session_id FOR UPDATE OF l
  ), consumed AS (
    -- What was removed by this very write is counted: said again after a lost answer it removes nothing.
    DELETE FROM session_inputs i USING l
    WHERE (SELECT bool_or(cardinality(l.consumed) > 0) FROM l) AND NOT l.refused AND cardinality(l.consumed) > 0 AND i.tenant_id = l.tenant_id AND i.id = ANY(l.consumed)
    RETURNING l.n, i.kind
  ), c AS (
    SELECT l.*, greatest(0, l.signals - (SELECT count(*) FROM consumed i WHERE i.n = l.n AND i.kind <> 'hint')) AS left_signals,
           greatest(0, l.hints - (SELECT count(*) FROM consumed i WHERE i.n = l.n AND i.kind = 'hint')) AS left_hints
    FROM l
  ), d AS MATERIALIZED (
    SELECT c.*, CASE
      WHEN refused THEN 'stopped'
      WHEN kind = 'step' THEN CASE WHEN stop_run_id = run_id THEN 'asked' ELSE 'held' END
      WHEN kind = 'handover' THEN 'released'
      WHEN left_signals > 0 THEN 'pending'
      WHEN kind = 'park' OR waiting_run_id IS NOT NULL THEN 'released'
      WHEN startable > 0 OR left_hints > 0 THEN 'pending'
      ELSE 'released' END AS outcome
    FROM c
  ), lease AS (
    UPDATE session_leases t SET
      lease_owner      = CASE WHEN d.outcome = 'released' THEN NULL ELSE t.lease_owner END,
      lease_expires_at = CASE WHEN d.outcome = 'released' THEN NULL ELSE t.lease_expires_at END,
      lease_run_id     = CASE WHEN d.kind IN ('finish', 'park') THEN NULL ELSE t.lease_run_id END,
      stop_run_id      = CASE WHEN d.kind IN ('finish', 'park') THEN NULL ELSE t.stop_run_id END,
      stop_mode        = CASE WHEN d.kind IN ('finish', 'park') THEN NULL ELSE t.stop_mode END,
      waiting_run_id   = CASE WHEN d.kind = 'park' THEN d.run_id ELSE t.waiting_run_id END,
      signals          = d.left_signals,
      hints            = d.left_hints,
      last_seq         = d.last_seq
    FROM d WHERE t.tenant_id = d.tenant_id AND t.session_id = d.session_id AND d.outcome <> 'stopped'
  ), run AS (
    UPDATE runs r SET
      status      = CASE d.kind WHEN 'finish' THEN d.status WHEN 'park' THEN 'waiting' ELSE r.status END,
      finished_at = CASE WHEN d.kind = 'finish' THEN now() END,
      usage       = coalesce(d.usage, r.usage),
      error       = d.error,
      ending      = d.ending,
      ended_at    = CASE WHEN d.kind IN ('finish', 'park') THEN now() END,
      end_seq     = d.last_seq,
      -- Answers come in while a run works: what it knows to be open may not be any more. The row itself is read anew.
      open_calls  = CASE WHEN d.kind = 'park' THEN (
        SELECT coalesce(jsonb_agg(c), '[]') FROM jsonb_array_elements(d.open_calls) c
        WHERE NOT c->>'tool_call_id' = ANY(d.known_calls) OR EXISTS (
          SELECT 1 FROM jsonb_array_elements(coalesce(r.open_calls, '[]')) o WHERE o->>'tool_call_id' = c->>'tool_call_id'))
        WHEN d.kind = 'finish' THEN NULL ELSE r.open_calls END,
      state_before = CASE WHEN d.state IS NULL THEN r.state_before ELSE coalesce(r.state_before, d.state_before) END,
      work_ms     = r.work_ms + ${OPEN},
      trail       = CASE WHEN d.kind = 'finish' THEN r.trail ELSE coalesce(r.trail, '[]') || jsonb_build_object(
        'at', now(), 'event', CASE d.kind WHEN 'park' THEN 'parked' ELSE 'handed_over' END, 'node', d.owner) END
    FROM d WHERE r.tenant_id = d.tenant_id AND r.id = d.run_id AND d.kind IN ('finish', 'park', 'handover') AND d.outcome <> 'stopped'
      AND r.status = 'running'
  ), step AS (
    INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data, removed_at)
    SELECT tenant_id, session_id, reply_id, step, run_id, 'assistant', position, data, CASE WHEN remove THEN now() END
    FROM d WHERE data IS NOT NULL AND outcome <> 'stopped'
    ON CONFLICT (tenant_id, session_id, reply_id, step) DO UPDATE SET data = EXCLUDED.data, removed_at = EXCLUDED.removed_at
  ), removed AS (
    UPDATE messages m SET removed_at = now() FROM d
    WHERE (SELECT bool_or(d.remove) FROM d) AND d.remove AND d.outcome <> 'stopped' AND m.tenant_id = d.tenant_id AND m.session_id = d.session_id
      AND m.reply_id = d.reply_id AND m.step <> d.step
  ), tool AS (
    INSERT INTO tool_calls (tenant_id, session_id, reply_id, tool_call_id, run_id, name, state, result, settled_at)
    SELECT d.tenant_id, d.session_id, d.reply_id, t.tool_call_id, d.run_id, t.name, t.state, t.result,
           CASE WHEN t.state <> 'started' THEN now() END
    FROM d, jsonb_to_recordset(d.tools) AS t (tool_call_id text, name text, state text, result jsonb) WHERE d.outcome <> 'stopped'
    ON CONFLICT (tenant_id, session_id, reply_id, tool_call_id) DO UPDATE
      SET state = EXCLUDED.state, result = EXCLUDED.result, settled_at = EXCLUDED.settled_at
  ), call AS (
    INSERT INTO model_calls (tenant_id, id, session_id, run_id, reply_id, agent_id, user_id, credential_id, provider, model, attempt, is_fallback,
      outcome, error_type, input_tokens, output_tokens, cache_input_tokens, cache_creation_input_tokens, reasoning_tokens, cost, currency,
      started_at, ended_at)
    SELECT d.tenant_id, c.id, d.session_id, d.run_id, d.reply_id, c.agent_id, c.user_id, c.credential_id, c.provider, c.model, c.attempt,
      c.is_fallback, c.outcome, c.error_type, c.input_tokens, c.output_tokens, c.cache_input_tokens, c.cache_creation_input_tokens,
      c.reasoning_tokens, c.cost, c.currency, c.started_at, c.ended_at
    FROM d, jsonb_to_recordset(d.calls) AS c (id uuid, agent_id uuid, user_id text, credential_id uuid, provider text, model text, attempt int,
      is_fallback bool, outcome text, error_type text, input_tokens bigint, output_tokens bigint, cache_input_tokens bigint,
      cache_creation_input_tokens bigint, reasoning_tokens bigint, cost numeric, currency text, started_at timestamptz, ended_at timestamptz)
    WHERE d.outcome <> 'stopped'
    -- Said again after a lost answer.
    ON CONFLICT (tenant_id, id) DO NOTHING
  ), before AS (
    -- The other kinds write it with the rest of the run: a row is updated once in a statement.
    UPDATE runs r SET state_before = d.state_before FROM d
    WHERE (SELECT bool_or(d.state IS NOT NULL) FROM d) AND d.kind = 'step' AND d.state IS NOT NULL AND r.tenant_id = d.tenant_id AND r.id = d.run_id AND r.state_before IS NULL
  ), session AS (
    -- What the run had saved is on its row since an earlier write: only the holder writes it.
    UPDATE sessions s SET state = CASE WHEN d.remove
      THEN coalesce((SELECT r.state_before FROM runs r WHERE r.tenant_id = d.tenant_id AND r.id = d.run_id), s.state) ELSE d.state END
    FROM d
    WHERE (SELECT bool_or(d.remove OR d.state IS NOT NULL) FROM d) AND s.tenant_id = d.tenant_id AND s.id = d.session_id
      AND d.outcome <> 'stopped' AND (d.remove OR d.state IS NOT NULL)
  ), asked AS (
    INSERT INTO approvals (tenant_id, id, user_id, session_id, run_id, reply_id, tool_call_id, tool_name, kind, input, input_hash, message,
      suggested_rules, expires_at)
    SELECT d.tenant_id, a.id, (SELECT r.user_id FROM runs r WHERE r.tenant_id = d.tenant_id AND r.id = d.run_id), d.session_id, d.run_id, d.reply_id, a.tool_call_id, a.tool_name, a.kind, a.input, a.input_hash, a.message,
      a.suggested_rules, now() + d.approval_ttl_ms * interval '1 millisecond'
    FROM d CROSS JOIN jsonb_to_recordset(d.approvals) AS a (id uuid, tool_call_id text, tool_name text, kind text, input text, input_hash text,
      message text, suggested_rules jsonb)
    WHERE d.kind = 'park' AND d.outcome <> 'stopped'
    ON CONFLICT DO NOTHING
  ), voided AS (
    UPDATE approvals a SET status = 'voided', decided_at = now() FROM d
    WHERE (SELECT bool_or(d.voids) FROM d) AND d.kind = 'finish' AND d.voids AND d.outcome <> 'stopped' AND a.tenant_id = d.tenant_id AND a.session_id = d.session_id
      AND a.run_id = d.run_id AND a.status = 'pending'
  )
  SELECT n, outcome, stop_mode, left_hints::int AS hints FROM d`;

export interface WriteItem {
  readonly n: number;
  readonly tenant_id: string;
  readonly session_id: string;
  readonly token: number;
  readonly owner: string;
  readonly kind: 'step' | 'finish' | 'park' | 'handover' | 'release';
  readonly last_seq: number;
  readonly run_id: string | null;
  readonly reply_id?: string;
  readonly step?: number;
  readonly position?: number;
  readonly data?: unknown;
  readonly tools: readonly unknown[];
  readonly calls: readonly unknown[];
  readonly consumed: readonly string[];
  readonly status?: string;
  readonly stoppable: boolean;
  readonly usage?: unknown;
  readonly error?: unknown;
  readonly ending?: unknown;
  readonly open_calls?: unknown;
  readonly known_calls: readonly string[];
  readonly remove: boolean;
  readonly voids: boolean;
  readonly approvals: readonly unknown[];
  readonly approval_ttl_ms: number;
  readonly state?: unknown;
  readonly state_before?: unknown;
}

/** $1 tenant, $2 run, $3 last seq: whether a write whose answer was lost was committed after all. Numbers are given once. */
export const WRITTEN = `SELECT 1 FROM runs WHERE tenant_id = $1 AND id = $2 AND end_seq = $3`;
