import { startable } from './lease.sql.js';

const OPEN = `greatest(0, extract(epoch FROM now() - r.resumed_at) * 1000)::bigint`;

/**
 * What holders write, many in one statement. $1: `WriteItem[]` as JSON, one of a session at most. Gives a row for each holder that still is
 * one. A run that was asked to stop is neither completed nor parked, and one that is to be rolled back not just interrupted (`stopped`, nothing is written). The lease is given back when the
 * session has nothing to do: the count of what waits is on the lease row itself.
 */
export const WRITE = `
  WITH x AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::jsonb) AS x (
      n int, tenant_id text, session_id uuid, token bigint, owner text, kind text, last_seq bigint, run_id uuid, reply_id text, step int,
      position bigint, data jsonb, tools jsonb, calls jsonb, consumed uuid[], status text, stoppable bool, usage jsonb, error jsonb, ending jsonb,
      open_calls jsonb, known_calls text[], remove bool)
  ), l AS MATERIALIZED (
    SELECT x.*, l.stop_run_id, l.stop_mode, l.pending, 
           greatest(0, l.signals - CASE WHEN cardinality(x.consumed) = 0 THEN 0 ELSE (
             SELECT count(*) FROM session_inputs i WHERE i.tenant_id = x.tenant_id AND i.id = ANY(x.consumed))::int END) AS left_signals,
           l.waiting_run_id, ${startable('l')} AS startable
    FROM x JOIN session_leases l ON l.tenant_id = x.tenant_id AND l.session_id = x.session_id
      AND l.lease_token = x.token AND l.lease_owner = x.owner
    ORDER BY x.tenant_id, x.session_id FOR UPDATE OF l
  ), d AS MATERIALIZED (
    SELECT l.*, CASE
      WHEN stop_run_id = run_id AND (stoppable OR (kind = 'finish' AND stop_mode = 'rollback' AND NOT remove)) THEN 'stopped'
      WHEN kind = 'step' THEN CASE WHEN stop_run_id = run_id THEN 'asked' ELSE 'held' END
      WHEN kind = 'handover' THEN 'released'
      WHEN left_signals > 0 THEN 'pending'
      WHEN kind = 'park' OR waiting_run_id IS NOT NULL THEN 'released'
      WHEN startable > 0 THEN 'pending'
      ELSE 'released' END AS outcome
    FROM l
  ), lease AS (
    UPDATE session_leases t SET
      lease_owner      = CASE WHEN d.outcome = 'released' THEN NULL ELSE t.lease_owner END,
      lease_expires_at = CASE WHEN d.outcome = 'released' THEN NULL ELSE t.lease_expires_at END,
      lease_run_id     = CASE WHEN d.kind IN ('finish', 'park') THEN NULL ELSE t.lease_run_id END,
      stop_run_id      = CASE WHEN d.kind IN ('finish', 'park') THEN NULL ELSE t.stop_run_id END,
      stop_mode        = CASE WHEN d.kind IN ('finish', 'park') THEN NULL ELSE t.stop_mode END,
      waiting_run_id   = CASE WHEN d.kind = 'park' THEN d.run_id ELSE t.waiting_run_id END,
      signals          = d.left_signals,
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
    WHERE d.remove AND d.outcome <> 'stopped' AND m.tenant_id = d.tenant_id AND m.session_id = d.session_id
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
  ), input AS (
    DELETE FROM session_inputs i USING d
    WHERE d.outcome <> 'stopped' AND cardinality(d.consumed) > 0 AND i.tenant_id = d.tenant_id AND i.id = ANY(d.consumed)
  )
  SELECT n, outcome, stop_mode FROM d`;

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
}

/** $1 tenant, $2 run, $3 last seq: whether a write whose answer was lost was committed after all. Numbers are given once. */
export const WRITTEN = `SELECT 1 FROM runs WHERE tenant_id = $1 AND id = $2 AND end_seq = $3`;
