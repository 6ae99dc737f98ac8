/** The messages of `src` up to its last one that is copied. */
const COPIED = `m.tenant_id = src.tenant_id AND m.session_id = src.id AND m.position > 0 AND m.position <= src.until AND m.removed_at IS NULL`;

/**
 * A copy of a session as it is committed at this moment. $1 tenant, $2 user, $3 session, $4 last message or null for all, $5 id, $6 external
 * id and $7 name of the copy, $8 a window context for one that begins at a message which is not
 * copied; what was put aside can still be read there. Gives no row when there is no such
 * session; else whether the message is `known` and the copy was `made`, and the rows of replies that have not ended: they are left out.
 * The copy numbers from where the session stands, with nothing of it in its log.
 */
export const FORK = `
  WITH src AS MATERIALIZED (
    SELECT s.tenant_id, s.id, s.user_id, s.agent_id, s.config, s.state, l.last_seq, b.position AS until, b.reply_id AS last_id
    FROM sessions s JOIN session_leases l ON l.tenant_id = s.tenant_id AND l.session_id = s.id
    LEFT JOIN LATERAL (
      SELECT m.position, m.reply_id FROM messages m
      WHERE m.tenant_id = s.tenant_id AND m.session_id = s.id AND m.position > 0 AND m.removed_at IS NULL
        AND ($4::text IS NULL OR m.reply_id = $4)
      ORDER BY m.position DESC LIMIT 1) b ON true
    WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.id = $3 AND s.deleted_at IS NULL
  ), open AS MATERIALIZED (
    SELECT o.reply_id FROM src CROSS JOIN LATERAL (
      SELECT DISTINCT ON (m.position) m.reply_id, m.data #> '{head,finished_at}' AS finished_at
      FROM messages m WHERE ${COPIED} AND m.role = 'assistant' ORDER BY m.position DESC, m.step DESC) o
    WHERE o.finished_at = 'null'
  ), made AS (
    INSERT INTO sessions (tenant_id, id, user_id, agent_id, external_id, config, state, forked_from)
    SELECT src.tenant_id, $5::uuid, src.user_id, src.agent_id, $6::text, jsonb_set(src.config, '{name}', to_jsonb($7::text)),
           CASE WHEN src.state #>> '{window_context,from,message_id}' IS NULL OR EXISTS (
             SELECT 1 FROM messages m WHERE ${COPIED} AND m.reply_id = src.state #>> '{window_context,from,message_id}')
           THEN src.state ELSE jsonb_set(src.state, '{window_context}',
             $8::jsonb || jsonb_build_object('offloads', coalesce(src.state #> '{window_context,offloads}', '0'))) END,
           jsonb_build_object('session_id', src.id, 'message_id', src.last_id)
    FROM src WHERE $4::text IS NULL OR src.until IS NOT NULL
    ON CONFLICT (tenant_id, user_id, external_id) WHERE deleted_at IS NULL DO NOTHING
    RETURNING tenant_id, id
  ), lease AS (
    INSERT INTO session_leases (tenant_id, session_id, reply_seq, last_seq)
    SELECT made.tenant_id, made.id, src.last_seq, src.last_seq FROM made, src
  ), copied AS (
    INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data, created_at)
    SELECT m.tenant_id, made.id, m.reply_id, m.step, m.run_id, m.role, m.position, m.data, m.created_at
    FROM made, src JOIN messages m ON ${COPIED}
    WHERE NOT EXISTS (SELECT 1 FROM open WHERE open.reply_id = m.reply_id)
  ), offloaded AS (
    INSERT INTO offloads (tenant_id, session_id, path, media_type, size, content, created_at)
    SELECT o.tenant_id, made.id, o.path, o.media_type, o.size, o.content, o.created_at
    FROM made, src JOIN offloads o ON o.tenant_id = src.tenant_id AND o.session_id = src.id
  )
  SELECT $4::text IS NULL OR src.until IS NOT NULL AS known, made.id IS NOT NULL AS made, m.reply_id, m.step, m.position, m.run_id, m.data
  FROM src LEFT JOIN made ON true
  LEFT JOIN messages m ON ${COPIED} AND made.id IS NOT NULL AND m.reply_id IN (SELECT reply_id FROM open)
  ORDER BY m.position, m.step`;

/** $1 tenant, $2 the copy, $3 replies as JSON: `{reply_id, run_id, position, data}`. */
export const ADD_REPLIES = `
  INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data)
  SELECT $1::text, $2::uuid, r.reply_id, 0, r.run_id, 'assistant', r.position, r.data
  FROM jsonb_to_recordset($3::jsonb) AS r (reply_id text, run_id uuid, position bigint, data jsonb)`;
