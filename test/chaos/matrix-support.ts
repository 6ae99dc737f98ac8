import { expect } from '@jest/globals';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import type { Msg } from '../../src/core/messages/message.js';
import { type Answer, ApiClient, UNASKED } from '../support/client.js';
import { eventually } from '../support/eventually.js';
import { type RedisServer, startRedis } from '../support/redis.js';
import { databaseEnv } from '../support/rig.js';
import { Follower } from './follower.js';
import { Ledger } from './ledger.js';
import { disagreement, TERMINAL } from './looks.js';
import { type NodeProcess, type Role, startNode } from './node-process.js';

type Env = Readonly<Record<string, string>>;

/** The stores of some nodes that a test starts as it likes, with the tools of the chaos host. Without Redis there is one node at a time. */
export class Site {
  private readonly nodes: NodeProcess[] = [];

  private constructor(
    private readonly database: Awaited<ReturnType<typeof databaseEnv>>,
    readonly ledger: Ledger,
    private readonly redis: RedisServer | null,
    private readonly env: Env,
  ) {}

  static async open(env: Env = {}, options: { alone?: boolean } = {}): Promise<Site> {
    return new Site(await databaseEnv(), await Ledger.create(), options.alone ? null : await startRedis(), env);
  }

  async node(roles: readonly Role[] = ['api', 'worker', 'scheduler'], env: Env = {}): Promise<NodeProcess> {
    const node = await startNode(roles, {
      ...this.database.env,
      ...(this.redis ? { REDIS_URL: this.redis.url } : {}),
      AERIE_LEASE_SECONDS: '3',
      CHAOS_LEDGER_URL: this.ledger.url,
      ...this.env,
      ...env,
    });
    this.nodes.push(node);
    return node;
  }

  get redisUrl(): string {
    return this.redis?.url ?? '';
  }

  get databaseUrl(): string {
    return this.database.env.DATABASE_URL;
  }

  async sql<T = Record<string, unknown>>(text: string): Promise<T[]> {
    return (await this.database.sql(text)) as T[];
  }

  /** From now on every moment in which two runs of one session are at work is on record. */
  async watchOverlaps(): Promise<void> {
    await this.sql(`
      CREATE TABLE chaos_overlaps (session_id uuid NOT NULL, run_id uuid NOT NULL, beside uuid NOT NULL);
      CREATE FUNCTION chaos_note_overlap() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        INSERT INTO chaos_overlaps SELECT NEW.session_id, NEW.id, r.id FROM runs r
        WHERE r.session_id = NEW.session_id AND r.id <> NEW.id AND r.status = 'running';
        RETURN NULL;
      END $$;
      CREATE TRIGGER chaos_overlaps AFTER INSERT OR UPDATE ON runs FOR EACH ROW WHEN (NEW.status = 'running')
        EXECUTE FUNCTION chaos_note_overlap();`);
  }

  overlaps(): Promise<Record<string, unknown>[]> {
    return this.sql('SELECT * FROM chaos_overlaps');
  }

  async close(): Promise<void> {
    await Promise.all(this.nodes.map((node) => node.kill()));
    await this.redis?.stop();
    await this.ledger.drop();
    await this.database.drop();
  }
}

export interface ChatBody {
  readonly status: string;
  readonly session_id: string;
  readonly run_id: string;
  readonly message?: Msg | null;
  readonly blocked_by?: { run_id: string; status: string; tool_call_ids: string[] };
  readonly stopped_run_id?: string;
}

export interface RunBody {
  readonly id: string;
  readonly session_id: string;
  readonly reply_id: string;
  readonly status: string;
  readonly attempt: number;
  readonly accepted_at: string;
  readonly started_at: string | null;
  readonly finished_at: string | null;
  readonly error: { type: string } | null;
  readonly stop: { requested_at: string; requested_by: string; mode: string } | null;
  readonly open_calls: { tool_call_id: string; name: string; kind: string }[];
}

export const isDelta =
  (text: string) =>
  (event: AgentEvent): boolean =>
    event.type === 'TEXT_BLOCK_DELTA' && event.delta === text;

/** The one event with which a run is over. */
export const isTerminal =
  (run_id: string) =>
  (event: AgentEvent): boolean =>
    event.run_id === run_id &&
    (event.type === 'REPLY_END' || (event.type === 'CUSTOM' && event.name === 'run_cancelled'));

export const isParked =
  (run_id: string) =>
  (event: AgentEvent): boolean =>
    event.run_id === run_id && event.type === 'REQUIRE_EXTERNAL_EXECUTION';

/** A script that waits for results from outside, then goes on. */
export const parking = (calls = 1): string =>
  `/say wait\n${'/tool external {"ms":0,"tag":"x"}\n'.repeat(calls)}/then\n/say went on`;

/** A session, who speaks in it and who follows it. */
export class Talk {
  constructor(
    public client: ApiClient,
    readonly session_id: string,
    readonly follower: Follower,
    readonly agent_id = '',
  ) {}

  static async open(
    node: Pick<NodeProcess, 'url'>,
    options: { user?: string; name?: string; session?: Record<string, unknown> } = {},
  ): Promise<Talk> {
    const client = new ApiClient(node.url, options.user);
    const { session_id, agent_id } = await client.demoSession(options.name, options.session ?? UNASKED);
    return new Talk(client, session_id, new Follower(client, session_id), agent_id);
  }

  post(content: string, more: Record<string, unknown> = {}, query = ''): Promise<Answer<ChatBody>> {
    const { id, ...fields } = more;
    const body = { session_id: this.session_id, input: { id, content }, ...fields };
    return this.client.request<ChatBody>('POST', `/chat${query}`, body);
  }

  /** Must be accepted. */
  async say(content: string, more: Record<string, unknown> = {}): Promise<ChatBody> {
    const answer = await this.post(content, more);
    expect([answer.status, answer.text]).toEqual([200, expect.anything()]);
    return answer.body;
  }

  /** Says it, and resolves once an event that fits was seen. */
  async sayUntil(content: string, fits: (event: AgentEvent) => boolean): Promise<string> {
    const { run_id } = await this.say(content);
    await this.follower.until((event) => event.run_id === run_id && fits(event));
    return run_id;
  }

  /** A run that waits for `calls` results. */
  async park(calls = 1): Promise<RunBody> {
    const run_id = await this.sayUntil(parking(calls), (event) => event.type === 'REQUIRE_EXTERNAL_EXECUTION');
    return this.reaches(run_id, 'waiting');
  }

  answer(run: Pick<RunBody, 'reply_id'>, ids: readonly string[], output: unknown = 'from outside') {
    const execution_results = ids.map((id) => ({ id, name: 'external', output }));
    const input = { type: 'EXTERNAL_EXECUTION_RESULT', reply_id: run.reply_id, execution_results };
    return this.client.request<ChatBody>('POST', '/chat', { session_id: this.session_id, input });
  }

  run(run_id: string): Promise<RunBody> {
    return this.client.ok<RunBody>('GET', `/runs/${run_id}`);
  }

  reaches(run_id: string, ...statuses: string[]): Promise<RunBody> {
    return eventually(async () => {
      const run = await this.run(run_id);
      return statuses.includes(run.status) ? run : undefined;
    }, 40_000);
  }

  ended(run_id: string): Promise<RunBody> {
    return this.reaches(run_id, ...TERMINAL);
  }

  terminals(run_id: string): AgentEvent[] {
    return this.follower.seen.map(({ event }) => event).filter(isTerminal(run_id));
  }

  /** Who says what, oldest first: `user <text>`, or `<how it finished> <text>`. */
  async transcript(): Promise<string[]> {
    const { messages } = await this.client.messages(this.session_id);
    return messages.map((message) => `${message.finished_reason ?? message.role} ${textOf(message)}`);
  }

  /**
   * One more turn goes through as if nothing had been; then all that was ever said is in the log, every run but the open ones has one
   * terminal event, and who followed has the transcript that is on record. Gives the status of each run, oldest first.
   */
  async settle(): Promise<string[]> {
    const { run_id } = await this.say('and now?');
    await this.follower.until(isTerminal(run_id));
    expect(await this.ended(run_id)).toMatchObject({ status: 'completed', attempt: 1, stop: null });
    return this.verdict();
  }

  async verdict(): Promise<string[]> {
    const { runs } = await this.client.ok<{ runs: RunBody[] }>('GET', `/sessions/${this.session_id}/runs?limit=200`);
    for (const { id, status } of runs) {
      const reason = { completed: 'completed', failed: 'error', interrupted: 'interrupted' }[status];
      const one = status === 'cancelled' ? { name: 'run_cancelled' } : { finished_reason: reason };
      expect(this.terminals(id)).toMatchObject(TERMINAL.includes(status) ? [one] : []);
    }
    expect(await disagreement(this.follower, this.client)).toEqual([]);
    return runs.map((run) => run.status).reverse();
  }
}

/** All slots of a node are taken by others until what this gives is called. */
export async function occupy(node: Pick<NodeProcess, 'url'>, slots: number): Promise<() => Promise<void>> {
  const others = await Promise.all(Array.from({ length: slots }, () => Talk.open(node)));
  for (const other of others) await other.sayUntil('/say zzz\n/sleep 600000', isDelta('zzz'));
  return async () => {
    for (const { client, session_id, follower } of others.splice(0)) {
      await client.ok('POST', `/sessions/${session_id}/interrupt`);
      await follower.close();
    }
  };
}

export const textOf = (message: Msg): string =>
  message.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('|');
