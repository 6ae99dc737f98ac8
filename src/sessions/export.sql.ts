/**
 * The next messages behind position $4, up to position $5: at most $6, and no more once they hold $7 bytes as stored. $1 tenant, $2 user,
 * $3 session. Gives no row when the session is gone, and one without a message at the end.
 */
export const STRETCH = `
  SELECT m.reply_id, m.step, m.position, m.data
  FROM sessions s
  LEFT JOIN LATERAL (
    SELECT m.reply_id, m.step, m.position, m.data
    FROM (
      SELECT position, sum(size) OVER (ORDER BY position) - size AS before FROM (
        SELECT position, sum(pg_column_size(data)) AS size FROM messages
        WHERE tenant_id = s.tenant_id AND session_id = s.id AND position > greatest($4::bigint, 0) AND position <= $5 AND removed_at IS NULL
        GROUP BY position ORDER BY position LIMIT $6) sized) p
    JOIN messages m ON m.tenant_id = s.tenant_id AND m.session_id = s.id AND m.position = p.position AND m.removed_at IS NULL
    WHERE p.before < $7) m ON true
  WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.id = $3 AND s.deleted_at IS NULL
  ORDER BY m.position, m.step`;
