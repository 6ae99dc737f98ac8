import type { ContentBlock } from '../../src/core/messages/block.js';
import type { Msg } from '../../src/core/messages/message.js';
import type { Database, Row, Sql } from '../../src/platform/database/database.js';
import type { Ledger } from './run-store-support.js';

export const AT = '2026-01-01T00:00:00.000Z';
const RUN = '00000000-0000-7000-8000-00000000000a';

export const text = (id: string, said: string, finished_at: string | null = AT): ContentBlock => ({
  type: 'text',
  id,
  text: said,
  created_at: AT,
  finished_at,
});

export const call = (id: string): ContentBlock => ({
  type: 'tool_call',
  id,
  name: 'look',
  input: '{}',
  state: 'submitted',
  suggested_rules: [],
  created_at: AT,
  finished_at: AT,
});

export const reply = (id: string, finished_at: string | null, ...content: ContentBlock[]): Msg => ({
  id,
  name: 'agent',
  role: 'assistant',
  content,
  metadata: {},
  created_at: AT,
  finished_at,
  finished_reason: finished_at === null ? null : 'completed',
  usage: null,
  error: null,
  structured_output: null,
});

/** Puts a step of a message on record, as a holder does. */
export async function record(
  ledger: Ledger,
  session: string,
  position: number,
  { content, ...head }: Msg,
  step = 0,
): Promise<void> {
  await ledger.sql(
    `INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data) VALUES ('acme', $1, $2, $3, $4, $5, $6, $7)`,
    [session, head.id, step, RUN, head.role, position, JSON.stringify({ head, content })],
  );
  await ledger.sql('UPDATE session_leases SET last_seq = greatest(last_seq, $2) WHERE session_id = $1', [
    session,
    position + 1,
  ]);
}

/** So many messages of a user and of replies in two steps, one after the other. */
export async function recordMany(ledger: Ledger, session: string, count: number): Promise<void> {
  await ledger.sql(
    `INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data)
     SELECT 'acme', $1::uuid, 'm' || n, step, '${RUN}', CASE WHEN n % 2 = 0 THEN 'assistant' ELSE 'user' END, n,
       jsonb_build_object(
         'head', $2::jsonb || jsonb_build_object('id', 'm' || n, 'role', CASE WHEN n % 2 = 0 THEN 'assistant' ELSE 'user' END),
         'content', jsonb_build_array($3::jsonb || jsonb_build_object('id', 'b' || n || '-' || step)))
     FROM generate_series(1, $4::int) n, generate_series(0, 1 - n % 2) step`,
    [session, JSON.stringify(reply('', AT)), JSON.stringify(text('', 'x'.repeat(300))), count],
  );
  await ledger.sql('UPDATE session_leases SET last_seq = $2 WHERE session_id = $1', [session, count]);
}

/** The database with a count of the statements that were run on it. */
export function counted(database: Database): { database: Database; statements: string[] } {
  const statements: string[] = [];
  const watch = (sql: Sql): Sql => ({
    run: <T extends Row>(name: string, body: string, values: readonly unknown[], timeout_ms?: number) => {
      statements.push(name);
      return sql.run<T>(name, body, values, timeout_ms);
    },
  });
  const watched = Object.assign(Object.create(database) as Database, watch(database), {
    transaction: <T>(work: (sql: Sql) => Promise<T>) => database.transaction((sql) => work(watch(sql))),
  });
  return { database: watched, statements };
}
