import { Injectable } from '@nestjs/common';
import type { SystemPrincipal } from '../../auth/principal.js';
import { Database, type Row } from '../../platform/database/database.js';
import type { SessionRef } from '../../platform/redis/keys.js';
import { type EndedRun, NodeStore } from '../node.store.js';

const BEAT = `
  INSERT INTO nodes (id, flushed_at) VALUES ($1, now() - $2::bigint * interval '1 millisecond')
  ON CONFLICT (id) DO UPDATE SET seen_at = now(), flushed_at = EXCLUDED.flushed_at`;

const TAKE_SILENT = `
  UPDATE nodes SET seen_at = now() WHERE id = (
    SELECT id FROM nodes WHERE seen_at < now() - $1::int * interval '1 millisecond' ORDER BY seen_at LIMIT 1 FOR UPDATE SKIP LOCKED)
  RETURNING id`;

const ENDED = 'r.tenant_id, r.session_id, r.id AS run_id, r.ending, r.end_seq';

const UNFLUSHED = `
  SELECT ${ENDED} FROM runs r JOIN nodes n ON n.id = $1
  WHERE r.owner = n.id AND r.ending IS NOT NULL AND r.ended_at >= n.flushed_at - interval '1 second'
    AND ($2::uuid IS NULL OR r.id > $2)
  ORDER BY r.id LIMIT $3`;

const LAST_ENDED = `
  SELECT ${ENDED} FROM runs r
  WHERE r.tenant_id = $1 AND r.session_id = $2 AND r.ending IS NOT NULL ORDER BY r.end_seq DESC LIMIT 1`;

@Injectable()
export class NodePgStore extends NodeStore {
  constructor(private readonly database: Database) {
    super();
  }

  async beat(_system: SystemPrincipal, node: string, unflushedMs: number): Promise<void> {
    await this.database.run('node-beat', BEAT, [node, Math.round(unflushedMs)]);
  }

  async takeSilent(_system: SystemPrincipal, silentMs: number): Promise<string | null> {
    const [row] = await this.database.run<{ id: string }>('node-silent', TAKE_SILENT, [silentMs]);
    return row?.id ?? null;
  }

  unflushed(_system: SystemPrincipal, node: string, after: string | null, limit: number): Promise<EndedRun[]> {
    return this.database.run<EndedRun & Row>('node-unflushed', UNFLUSHED, [node, after, limit]);
  }

  async lastEnded(_system: SystemPrincipal, { tenant_id, session_id }: SessionRef): Promise<EndedRun | null> {
    const [row] = await this.database.run<EndedRun & Row>('run-last-ended', LAST_ENDED, [tenant_id, session_id]);
    return row ?? null;
  }

  async forget(_system: SystemPrincipal, node: string): Promise<void> {
    await this.database.run('node-forget', 'DELETE FROM nodes WHERE id = $1', [node]);
  }
}
