import type { Dimension } from './usage.schema.js';

const TOKENS = [
  'input_tokens',
  'output_tokens',
  'cache_input_tokens',
  'cache_creation_input_tokens',
  'reasoning_tokens',
] as const;

const NONE = `'00000000-0000-0000-0000-000000000000'::uuid`;

const KEY = 'tenant_id, day, user_id, agent_id, session_id, credential_id, provider, model, currency';

/** A call as the sums know it. */
const CALL = `
  c.tenant_id, (c.ended_at AT TIME ZONE 'UTC')::date AS day, c.user_id, c.agent_id, c.session_id,
  coalesce(c.credential_id, ${NONE}) AS credential_id, c.provider, c.model, coalesce(c.currency, '') AS currency`;

const SUMS = `
  count(*) AS calls, count(*) FILTER (WHERE c.outcome = 'failed') AS failed_calls,
  ${TOKENS.map((name) => `sum(c.${name}) AS ${name}`).join(', ')}, coalesce(sum(c.cost), 0) AS cost`;

const ADDED = ['calls', 'failed_calls', ...TOKENS, 'cost'];

/** $1: how many at most. Calls that another node is adding are passed by. */
export const ROLL_UP = `
  WITH found AS (
    SELECT tenant_id, id FROM model_calls WHERE NOT rolled ORDER BY id LIMIT $1 FOR UPDATE SKIP LOCKED
  ), c AS (
    UPDATE model_calls m SET rolled = true FROM found f WHERE m.tenant_id = f.tenant_id AND m.id = f.id RETURNING m.*
  ), summed AS (
    INSERT INTO usage_rollups AS u (${KEY}, ${ADDED.join(', ')})
    SELECT ${CALL}, ${SUMS} FROM c GROUP BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    -- Always in this order: two nodes that add to the same sums wait for each other in turn.
    ORDER BY 1, 2, 3, 4, 5, 6, 7, 8, 9
    ON CONFLICT (${KEY}) DO UPDATE SET ${ADDED.map((name) => `${name} = u.${name} + EXCLUDED.${name}`).join(', ')}
  )
  SELECT count(*) AS rolled FROM c`;

/** Ids begin with the time at which they were made, at the end of the call; this is how far the two may be apart. */
const MARGIN = `interval '1 hour'`;

/** The least UUIDv7 of an instant. */
const idAt = (instant: string): string =>
  `(lpad(to_hex((extract(epoch FROM ${instant}) * 1000)::bigint), 12, '0') || '00000000000000000000')::uuid`;

/** Not `$2 IS NULL OR …`: a plan that is made once for all values could not look the user up. */
const userIs = (alias: string, isOfUser: boolean): string => (isOfUser ? `${alias}.user_id = $2` : '$2::text IS NULL');

const filter = (alias: string, isOfUser: boolean): string => `
  ${alias}.tenant_id = $1 AND ${userIs(alias, isOfUser)} AND ($5::uuid IS NULL OR ${alias}.agent_id = $5)
  AND ($6::uuid IS NULL OR ${alias}.session_id = $6) AND ($7::uuid IS NULL OR ${alias}.credential_id = $7)
  AND ($8::text IS NULL OR ${alias}.provider = $8) AND ($9::text IS NULL OR ${alias}.model = $9)`;

/** Calls that ended from one instant to before another, found by their ids. */
const IN_RANGE = (from: string, to: string): string => `
  c.ended_at >= ${from} AND c.ended_at < ${to} AND c.id >= ${idAt(`${from} - ${MARGIN}`)} AND c.id < ${idAt(`${to} + ${MARGIN}`)}`;

const FROM = '$3::timestamptz';
const TO = '$4::timestamptz';

/** The days that lie whole between $3 and $4; what they hold may be read from their sums. */
const WHOLE = `
  whole AS (
    SELECT first, last, first::timestamp AT TIME ZONE 'UTC' AS first_at, last::timestamp AT TIME ZONE 'UTC' AS last_at FROM (
      SELECT lower AS first, greatest(lower, (${TO} AT TIME ZONE 'UTC')::date) AS last FROM (
        SELECT (${FROM} AT TIME ZONE 'UTC')::date + ((${FROM} AT TIME ZONE 'UTC')::time > '00:00')::int AS lower) d) e
  )`;

const RAW = `SELECT ${CALL}, c.run_id, 1 AS calls, (c.outcome = 'failed')::int AS failed_calls, ${TOKENS.map((name) => `c.${name}`).join(', ')},
  coalesce(c.cost, 0) AS cost`;

/** Every call by itself: for sums by run. */
const each = (isOfUser: boolean): string =>
  `used AS (${RAW} FROM model_calls c WHERE ${filter('c', isOfUser)} AND ${IN_RANGE(FROM, TO)})`;

/**
 * Sums of whole days, calls of such days that are not in them yet, and the calls before and after those days. Each by a range of its own:
 * only so is a day that is summed not read call by call, too.
 */
const summed = (isOfUser: boolean): string => `${WHOLE}, used AS (
  SELECT ${KEY}, NULL::uuid AS run_id, ${ADDED.join(', ')} FROM usage_rollups u, whole
  WHERE ${filter('u', isOfUser)} AND u.day >= whole.first AND u.day < whole.last
  UNION ALL
  ${RAW} FROM whole, model_calls c WHERE NOT c.rolled AND ${filter('c', isOfUser)} AND ${IN_RANGE('whole.first_at', 'whole.last_at')}
  UNION ALL
  ${RAW} FROM whole, model_calls c WHERE ${filter('c', isOfUser)} AND ${IN_RANGE(FROM, `least(whole.first_at, ${TO})`)}
  UNION ALL
  ${RAW} FROM whole, model_calls c WHERE ${filter('c', isOfUser)} AND ${IN_RANGE('whole.last_at', TO)}
)`;

const COLUMN: Record<Dimension, string> = {
  tenant: 'tenant_id',
  day: 'day::text',
  user: 'user_id',
  agent: 'agent_id::text',
  session: 'session_id::text',
  run: 'run_id::text',
  credential: 'credential_id::text',
  provider: 'provider',
  model: 'model',
};

/**
 * $1 tenant, $2 user (null unless `isOfUser`), $3 from, $4 to, $5 agent, $6 session, $7 credential, $8 provider, $9 model; for groups $10 how many, $11 the
 * dimensions of the last one before, as texts. `key` holds the dimensions.
 */
export function usageSql(by: readonly Dimension[], isOfUser: boolean): string {
  const key = `ARRAY[${by.map((dimension) => COLUMN[dimension]).join(', ')}]::text[] COLLATE "C"`;
  const page = by.length > 0 ? 'ORDER BY key LIMIT $10' : '';
  const after = by.length > 0 ? `WHERE $11::text[] IS NULL OR ${key} > $11::text[]` : '';
  return `
    WITH ${(by.includes('run') ? each : summed)(isOfUser)}, of_currency AS (
      SELECT ${key} AS key, currency, ${ADDED.map((name) => `sum(${name}) AS ${name}`).join(', ')} FROM used ${after} GROUP BY 1, 2
    )
    SELECT ${by.length > 0 ? 'key, ' : ''}${['calls', 'failed_calls', ...TOKENS].map((name) => `sum(${name})::bigint AS ${name}`).join(', ')},
      coalesce(sum(calls) FILTER (WHERE currency = ''), 0)::bigint AS unpriced_calls,
      coalesce(jsonb_agg(jsonb_build_object('currency', currency, 'amount', trim_scale(cost)::text) ORDER BY currency)
        FILTER (WHERE currency <> ''), '[]') AS costs
    FROM of_currency GROUP BY key ${page}`;
}
