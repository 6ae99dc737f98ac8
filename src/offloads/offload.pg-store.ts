import { Injectable } from '@nestjs/common';
import type { Principal } from '../auth/principal.js';
import type { OffloadPiece } from '../core/context/offload-store.js';
import { Database, type Row } from '../platform/database/database.js';
import { type OffloadRecord, OffloadRecordStore, type PutOutcome } from './offload.store.js';

const OF_CALLER = `
  EXISTS (SELECT 1 FROM sessions s
          WHERE s.tenant_id = $1 AND s.user_id = $2 AND s.id = $3 AND s.deleted_at IS NULL)`;

/** Sums are only right while nobody else adds to them; a lock on the session's row would hold up the writes of its run. */
const LOCK = `SELECT pg_advisory_xact_lock(hashtextextended('offloads:' || $1::text || ':' || $2::text, 0))`;

const ROOM = `
  SELECT ${OF_CALLER} AS is_owned,
         (SELECT coalesce(sum(o.size), 0)::bigint FROM offloads o
          WHERE o.tenant_id = $1 AND o.session_id = $3 AND o.path <> $4) AS used`;

const PUT = `
  INSERT INTO offloads AS o (tenant_id, session_id, path, media_type, size, content)
  SELECT $1, $3, $4, $5, $6, $7 WHERE ${OF_CALLER}
  ON CONFLICT (tenant_id, session_id, path) DO UPDATE
    SET media_type = excluded.media_type, size = excluded.size, content = excluded.content, created_at = now()
  RETURNING o.path`;

const HAS = `SELECT 1 FROM offloads o WHERE o.tenant_id = $1 AND o.session_id = $3 AND o.path = $4 AND ${OF_CALLER}`;

/** A text is stored as valid UTF-8 without NUL, so that it can be cut by characters here. */
const READ = `
  SELECT o.media_type, o.size,
         CASE WHEN t.is_text THEN substr(t.content, $5::int + 1, $6::int) END AS text,
         CASE WHEN t.is_text THEN char_length(t.content) END AS characters
  FROM offloads o
  CROSS JOIN LATERAL (SELECT o.media_type ~ '^(text/|application/jsonl?$)' AS is_text) k
  CROSS JOIN LATERAL (SELECT k.is_text, CASE WHEN k.is_text THEN convert_from(o.content, 'UTF8') END AS content) t
  WHERE o.tenant_id = $1 AND o.session_id = $3 AND o.path = $4 AND ${OF_CALLER}`;

const TIMEOUT_MS = 30_000;

@Injectable()
export class OffloadPgStore extends OffloadRecordStore {
  constructor(private readonly database: Database) {
    super();
  }

  put(principal: Principal, sessionId: string, record: OffloadRecord, quota: number): Promise<PutOutcome> {
    const { tenant_id, user_id } = principal;
    const { path, media_type, content } = record;
    return this.database.transaction(async (sql) => {
      await sql.run('offload-lock', LOCK, [tenant_id, sessionId], TIMEOUT_MS);
      const [room] = await sql.run<{ is_owned: boolean; used: number }>('offload-room', ROOM, [
        ...[tenant_id, user_id, sessionId, path],
      ]);
      if (room?.is_owned !== true) return 'missing';
      if (room.used + content.length > quota) return 'full';
      const values = [tenant_id, user_id, sessionId, path, media_type, content.length, content];
      const stored = await sql.run('offload-put', PUT, values, TIMEOUT_MS);
      return stored.length > 0 ? 'stored' : 'missing';
    });
  }

  async has({ tenant_id, user_id }: Principal, sessionId: string, path: string): Promise<boolean> {
    return (await this.database.run('offload-has', HAS, [tenant_id, user_id, sessionId, path])).length > 0;
  }

  async read(
    { tenant_id, user_id }: Principal,
    sessionId: string,
    path: string,
    offset: number,
    limit: number,
  ): Promise<OffloadPiece | null> {
    const values = [tenant_id, user_id, sessionId, path, offset, limit];
    const [row] = await this.database.run<PieceRow>('offload-read', READ, values, TIMEOUT_MS);
    if (row === undefined) return null;
    return { media_type: row.media_type, text: row.text, total: row.characters ?? row.size };
  }
}

interface PieceRow extends Row {
  media_type: string;
  size: number;
  text: string | null;
  characters: number | null;
}
