import { createTestDatabase, query } from '../support/postgres.js';

export interface Execution {
  readonly tool: string;
  readonly tool_call_id: string;
  readonly tag: string;
  readonly pid: number;
  readonly ended_at: Date | null;
}

const TABLE = `CREATE TABLE executions (
  id uuid PRIMARY KEY, tool text NOT NULL, tool_call_id text NOT NULL, tag text NOT NULL, pid integer NOT NULL,
  started_at timestamptz NOT NULL DEFAULT clock_timestamp(), ended_at timestamptz)`;

/** Where the tools of the host put their executions on record: beside all that is broken on purpose. */
export class Ledger {
  private constructor(
    readonly url: string,
    readonly drop: () => Promise<void>,
  ) {}

  static async create(): Promise<Ledger> {
    const database = await createTestDatabase();
    await query(database.url, TABLE);
    return new Ledger(database.url, () => database.drop());
  }

  async executions(): Promise<Execution[]> {
    const { rows } = await query(this.url, 'SELECT * FROM executions ORDER BY started_at');
    return rows as unknown as Execution[];
  }

  async of(tag: string): Promise<Execution[]> {
    return (await this.executions()).filter((it) => it.tag === tag);
  }
}

/** How often each call of a tool was executed. */
export function timesRun(executions: readonly Execution[], tool: string): Map<string, number> {
  const times = new Map<string, number>();
  for (const { tool: name, tool_call_id } of executions)
    if (name === tool) times.set(tool_call_id, (times.get(tool_call_id) ?? 0) + 1);
  return times;
}
