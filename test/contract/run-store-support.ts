import pg from 'pg';
import { frame } from '../../src/events/frames.js';
import { MIGRATIONS } from '../../migrations/all.js';
import { CreateAgent } from '../../src/agents/agent.schema.js';
import { AgentTypeormStore } from '../../src/agents/agent.typeorm-store.js';
import { ENTITIES } from '../../src/aerie.module.js';
import { Principal, SystemPrincipal } from '../../src/auth/principal.js';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import { acceptInput, type FinishedReason, InputMsg, type Msg } from '../../src/core/messages/message.js';
import { Database } from '../../src/platform/database/database.js';
import { migrate } from '../../src/platform/database/database.module.js';
import { newId } from '../../src/platform/ids.js';
import { RunPgStore } from '../../src/runs/pg/run.pg-store.js';
import type {
  ModelCallEntry,
  Accepted,
  Checkpoint,
  Claim,
  ClaimOptions,
  Finish,
  Lease,
  Park,
  RunInput,
  RunStore,
  StopRequest,
} from '../../src/runs/run.store.js';
import { SessionTypeormStore } from '../../src/sessions/session.typeorm-store.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';
import { answerOf, approvalOf, kindOf } from './run-store-answers.js';
import { eventually } from '../support/eventually.js';

export const alice = new Principal('acme', 'alice');
export const system = new SystemPrincipal('test');
export const LEASE_MS = 60_000;

export interface AcceptOptions {
  readonly owner?: string;
  readonly has_slot?: boolean;
  readonly max?: number;
  readonly as?: Principal;
  readonly store?: RunStore;
}

type Names = Pick<RunInput, 'run_id' | 'reply_id'>;
type Row = Record<string, unknown>;

/** The ledger on a database of its own, as two processes use it, and what tests do with it over and over. */
export class Ledger {
  readonly store: RunPgStore;
  readonly sessions: SessionTypeormStore;
  readonly agents: AgentTypeormStore;

  private constructor(
    private readonly files: TestDatabase,
    readonly database: Database,
    private readonly second: Database,
    /** The store of another process. */
    readonly other = new RunPgStore(second),
  ) {
    this.store = new RunPgStore(database);
    this.sessions = new SessionTypeormStore(database);
    this.agents = new AgentTypeormStore(database);
  }

  static async open(): Promise<Ledger> {
    const files = await createTestDatabase();
    const parts = {
      url: files.url,
      pool: 12,
      application_name: 'test',
      entities: ENTITIES,
      migrations: MIGRATIONS,
    };
    const database = await Database.connect(parts);
    await migrate(database, files.url);
    return new Ledger(files, database, await Database.connect(parts));
  }

  async close(): Promise<void> {
    await this.database.close();
    await this.second.close();
    await this.files.drop();
  }

  /** So that a claim finds nothing of another test. */
  async clear(): Promise<void> {
    await this.sql('TRUNCATE agents, sessions, credentials, config_versions CASCADE');
  }

  async sql<T extends Row = Row>(text: string, values: unknown[] = []): Promise<T[]> {
    return (await this.database.dataSource.query<T[]>(text, values)) ?? [];
  }

  async newSession(as = alice): Promise<string> {
    const [agent_id, id] = [newId(), newId()];
    await this.agents.create(as, agent_id, CreateAgent.parse({ name: 'a' }));
    const config = {
      name: 's',
      chat_model_config: null,
      fallback_chat_model_config: null,
      permission_mode: 'default' as const,
      permission_rules: [],
      disabled_tools: [],
      metadata: {},
    };
    await this.sessions.create(as, { id, agent_id, external_id: null, config });
    return id;
  }

  accept(it: RunInput, options: AcceptOptions = {}): Promise<Accepted> {
    const { owner = 'n1', has_slot = true, max = 1000, as = alice, store = this.store } = options;
    return store.accept(as, it, { owner, has_slot, lease_ms: LEASE_MS }, max);
  }

  queue(it: RunInput, options: AcceptOptions = {}): Promise<Accepted> {
    return this.accept(it, { has_slot: false, ...options });
  }

  /** A session with a run at work in the hands of n1, token 1. */
  async working(...texts: string[]): Promise<{ session: string; run: RunInput; held: Lease }> {
    const session = await this.newSession();
    const run = input(session, ...(texts.length > 0 ? texts : ['a']));
    await this.accept(run);
    return { session, run, held: lease(session, 1) };
  }

  /** A session whose run waits for the results of these calls. */
  async parked(...calls: string[]): Promise<{ session: string; run: RunInput }> {
    const { session, run, held } = await this.working();
    await this.store.park(held, parkOf(run, 5, calls));
    return { session, run };
  }

  answer(session: string, run: Names, ...calls: string[]) {
    return this.store.answer(alice, session, answerOf(run, ...calls));
  }

  stop(session: string, mode: 'interrupt' | 'rollback' = 'interrupt', runId?: string): Promise<StopRequest> {
    return this.store.requestStop(alice, session, mode, runId);
  }

  claim(options: Partial<ClaimOptions> & { owner?: string; store?: RunStore } = {}): Promise<Claim[]> {
    const { owner = 'n9', store = this.store, ...rest } = options;
    const all = { limit: 100, outage: null, grace_ms: 0, ...rest };
    return store.claim(system, { owner, lease_ms: LEASE_MS }, all);
  }

  /** Claims this session; undefined when there is nothing to claim in it. */
  async claimOf(session: string, options: Partial<ClaimOptions> = {}): Promise<Claim | undefined> {
    return (await this.claim(options)).find((claim) => claim.lease.session_id === session);
  }

  async row(session: string): Promise<Row> {
    const [row] = await this.sql('SELECT * FROM session_leases WHERE session_id = $1', [session]);
    for (const name of ['lease_token', 'last_seq', 'reply_seq']) if (row?.[name]) row[name] = Number(row[name]);
    return row ?? {};
  }

  approvals(session: string): Promise<Row[]> {
    return this.sql('SELECT * FROM approvals WHERE session_id = $1 ORDER BY tool_call_id', [session]);
  }

  /** What the session remembers. */
  async state(session: string): Promise<unknown> {
    const [row] = await this.sql('SELECT state FROM sessions WHERE id = $1', [session]);
    return row?.state;
  }

  calls(run_id: string): Promise<Row[]> {
    return this.sql('SELECT * FROM model_calls WHERE run_id = $1 ORDER BY id', [run_id]);
  }

  async run(id: string): Promise<Row> {
    const [row] = await this.sql('SELECT * FROM runs WHERE id = $1', [id]);
    return row ?? {};
  }

  async statuses(session: string): Promise<unknown[]> {
    const rows = await this.sql('SELECT status FROM runs WHERE session_id = $1 ORDER BY id', [session]);
    return rows.map((row) => row.status);
  }

  inputs(session: string): Promise<Row[]> {
    return this.sql('SELECT * FROM session_inputs WHERE session_id = $1 ORDER BY position', [session]);
  }

  async transcript(session: string): Promise<Msg[]> {
    return (await this.sessions.messages(alice, session, 1000))?.messages ?? [];
  }

  /** As if the holder had not renewed for so long. */
  async expire(session: string, ago_ms = 1000): Promise<void> {
    const since = `lease_expires_at = clock_timestamp() - $2::int * interval '1 millisecond'`;
    await this.sql(`UPDATE session_leases SET ${since} WHERE session_id = $1`, [session, ago_ms]);
  }

  async closeWindow(session: string): Promise<void> {
    await this.sql('UPDATE session_leases SET collect_until = clock_timestamp() WHERE session_id = $1', [session]);
  }

  /** Locks the row of a lease: whoever wants it waits, in the order in which they came, until it is let go. */
  async lock(session: string): Promise<{ client: pg.Client; letGo: () => Promise<void> }> {
    const client = new pg.Client({ connectionString: this.files.url });
    await client.connect();
    await client.query('BEGIN');
    await client.query('SELECT 1 FROM session_leases WHERE session_id = $1 FOR UPDATE', [session]);
    const letGo = async () => {
      await client.query('COMMIT');
      await client.end();
    };
    return { client, letGo };
  }

  /** Resolves when that many statements wait for a lock. */
  async waiting(count: number): Promise<void> {
    await eventually(async () => {
      const [row] = await this.sql(
        `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`,
      );
      return row?.n === count ? true : undefined;
    });
  }

  /** Starts each statement when the one before waits for the lease, then lets them go one after the other. */
  async inTurn<A, B>(session: string, first: () => Promise<A>, second: () => Promise<B>): Promise<[A, B]> {
    const { letGo } = await this.lock(session);
    const one = first();
    await this.waiting(1);
    const two = second();
    await this.waiting(2);
    await letGo();
    return Promise.all([one, two]);
  }
}

export const message = (content: string): Msg =>
  acceptInput(InputMsg.parse({ content }), newId, new Date().toISOString());

export function input(session_id: string, ...texts: string[]): RunInput {
  const names = { session_id, run_id: newId(), reply_id: newId() };
  const versions = { session_version: 0, config_version: 0 };
  return {
    ...names,
    messages: texts.map(message),
    on_busy: 'enqueue',
    coalesce_ms: 0,
    ...versions,
    structured_schema: null,
  };
}

export const lease = (session_id: string, token: number, owner = 'n1'): Lease => ({
  tenant_id: 'acme',
  session_id,
  token,
  owner,
});

export const ids = (messages: readonly Msg[]): string[] => messages.map((it) => it.id);

export function checkpointOf(
  { run_id, reply_id }: Names,
  last_seq: number,
  {
    step = 0,
    position = last_seq,
    said = 'reply',
    ...rest
  }: Partial<Omit<Checkpoint, 'step'>> & {
    step?: number;
    position?: number;
    said?: string;
  } = {},
): Checkpoint {
  const { content, ...head } = { ...message(said), id: reply_id, role: 'assistant' as const };
  const row = { reply_id, run_id, step, position, data: { head, content } };
  return { last_seq, step: row, tools: [], calls: [], consumed: [], state: null, state_before: null, ...rest };
}

export const modelCall = (rest: Partial<ModelCallEntry> = {}): ModelCallEntry => ({
  id: newId(),
  agent_id: newId(),
  user_id: 'alice',
  credential_id: newId(),
  provider: 'demo',
  model: 'demo-1',
  attempt: 1,
  is_fallback: false,
  outcome: 'completed',
  error_type: null,
  input_tokens: 1,
  output_tokens: 2,
  cache_input_tokens: 3,
  cache_creation_input_tokens: 4,
  reasoning_tokens: 5,
  cost: null,
  currency: null,
  started_at: '2026-11-21T10:00:00.000Z',
  ended_at: '2026-11-21T10:00:01.000Z',
  ...rest,
});

export function finishOf(run: Names, last_seq: number, rest: Partial<Finish> = {}): Finish {
  const status = rest.status ?? 'completed';
  const reason = status === 'failed' ? 'error' : status;
  return {
    ...checkpointOf(run, last_seq),
    run_id: run.run_id,
    status,
    usage: null,
    error: null,
    ending: { token: 1, seq: last_seq, frames: frame(last_seq, JSON.stringify(replyEnd(run, reason))) },
    remove: false,
    voids: false,
    ...rest,
  };
}

const replyEnd = ({ run_id, reply_id }: Names, finished_reason: FinishedReason): AgentEvent => ({
  type: 'REPLY_END',
  id: newId(),
  created_at: new Date().toISOString(),
  run_id,
  reply_id,
  session_id: run_id,
  finished_reason,
  error: null,
});

export const parkOf = (run: Names, last_seq: number, calls: readonly string[], rest: Partial<Park> = {}): Park => ({
  ...checkpointOf(run, last_seq),
  run_id: run.run_id,
  usage: null,
  open_calls: calls.map((tool_call_id) => ({ tool_call_id, name: 'ask', kind: kindOf(tool_call_id) })),
  known_calls: [],
  approvals: calls.map(approvalOf),
  approval_ttl_ms: 3_600_000,
  ending: { token: 1, seq: last_seq, frames: '' },
  ...rest,
});
