import type { Principal } from '../../auth/principal.js';
import type { HintBlock } from '../../core/messages/block.js';
import type { Database, Row } from '../../platform/database/database.js';
import { newId } from '../../platform/ids.js';
import type { Delivered, NewHint } from '../inbox.js';
import type { Lease, SignalInput, Work } from '../run.store.js';
import { HINT, HINTS, NOTIFY, WAKE } from './inbox.sql.js';
import { LOCK_HELD } from './lease.sql.js';
import { takeWork } from './take-work.js';

/** What comes to a session from the service itself. */
export class Inbox {
  constructor(private readonly database: Database) {}

  hint(principal: Principal, sessionId: string, { id, hint, source }: NewHint): Promise<Delivered> {
    const now = new Date().toISOString();
    const block: HintBlock = { type: 'hint', id, hint, source, created_at: now, finished_at: now };
    return this.deliver('run-hint', HINT, principal, sessionId, id, block);
  }

  notify(principal: Principal, sessionId: string, name: string, value: Record<string, unknown>): Promise<Delivered> {
    return this.deliver('run-notify', NOTIFY, principal, sessionId, newId(), { name, value });
  }

  hints(held: Lease): Promise<SignalInput[]> {
    const holder = [held.tenant_id, held.session_id, held.token, held.owner];
    return this.database.run<SignalInput & Row>('run-hints', HINTS, holder);
  }

  wake(held: Lease, { run_id, reply_id }: { run_id: string; reply_id: string }): Promise<Work | null> {
    const { tenant_id, session_id, token, owner } = held;
    return this.database.transaction(async (sql) => {
      const locked = await sql.run('run-lock-held', LOCK_HELD, [tenant_id, session_id, token, owner]);
      if (locked.length === 0) return null;
      await sql.run('run-wake', WAKE, [tenant_id, session_id, run_id, reply_id, owner]);
      const [work] = await takeWork(sql, [held], owner, null);
      return work ?? null;
    });
  }

  private async deliver(
    name: string,
    text: string,
    { tenant_id, user_id }: Principal,
    sessionId: string,
    id: string,
    payload: unknown,
  ): Promise<Delivered> {
    const values = [tenant_id, sessionId, user_id, id, JSON.stringify(payload)];
    const [row] = await this.database.run<{ fits: boolean }>(name, text, values);
    if (!row) return 'gone';
    return row.fits ? 'delivered' : 'full';
  }
}
