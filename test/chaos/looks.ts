import { expect } from '@jest/globals';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import { eachFrame } from '../../src/events/frames.js';
import { eventsKey } from '../../src/platform/redis/keys.js';
import type { ApiClient } from '../support/client.js';
import { eventually } from '../support/eventually.js';
import { difference } from './difference.js';
import type { Followed, Follower } from './follower.js';
import { keepOutput, type NodeProcess } from './node-process.js';
import type { Stage } from './stage.js';

export const TERMINAL = ['completed', 'failed', 'interrupted', 'cancelled'];

export interface RunRow {
  readonly id: string;
  readonly session_id: string;
  readonly reply_id: string;
  readonly status: string;
  readonly attempt: number;
}

export const runsOf = (stage: Stage, session_id: string): Promise<RunRow[]> =>
  stage.patientSql<RunRow>(
    `SELECT id, session_id, reply_id, status, attempt FROM runs WHERE session_id = '${session_id}' ORDER BY id`,
  );

/** The run as it stands once it is over. */
export function ended(stage: Stage, run_id: string, within_ms = 40_000): Promise<RunRow> {
  return eventually(async () => {
    const [run] = await stage.patientSql<RunRow>(
      `SELECT id, session_id, reply_id, status, attempt FROM runs WHERE id = '${run_id}'`,
    );
    return run && TERMINAL.includes(run.status) ? run : undefined;
  }, within_ms);
}

/** Whether the process holds the lease of the session; owners are named with their pid. */
export async function holds(stage: Stage, node: NodeProcess, session_id: string): Promise<boolean> {
  const [lease] = await stage.patientSql<{ lease_owner: string | null }>(
    `SELECT lease_owner FROM session_leases WHERE session_id = '${session_id}'`,
  );
  return lease?.lease_owner?.includes(`:${node.pid}:`) === true;
}

export interface LogEntry {
  readonly token: number;
  readonly events: Followed[];
}

/** The log of a session as it lies in Redis. */
export async function logEntries(stage: Stage, session_id: string): Promise<LogEntry[]> {
  const [session] = await stage.sql<{ tenant_id: string }>(`SELECT tenant_id FROM sessions WHERE id = '${session_id}'`);
  const key = eventsKey({ tenant_id: session?.tenant_id ?? '', session_id });
  const entries = await stage.redis((redis) => redis.xrange(key, '-', '+'));
  return entries.map(([, fields]) => {
    const field = (name: string) => fields[fields.indexOf(name) + 1] ?? '';
    const frames = [...eachFrame(Buffer.from(field('d')))];
    return {
      token: Number(field('t')),
      events: frames.map(({ seq, json }) => ({ seq, event: JSON.parse(json) as AgentEvent })),
    };
  });
}

/** What a follower has to complain of once it had the time to come to what is on record; nothing when both agree. */
export async function disagreement(follower: Follower, client: ApiClient): Promise<string[]> {
  const find = async () => difference(follower.messages, (await client.messages(follower.session_id)).messages);
  const agreed = await eventually(async () => (await find()) === null || undefined, 15_000).catch(() => false);
  const found = agreed ? null : await find();
  if (found !== null || follower.faults.length > 0) keepOutput(`follower-${follower.session_id}`, story(follower));
  return [...follower.faults, ...(found === null ? [] : [found])].map((fault) => `${follower.session_id}: ${fault}`);
}

const story = ({ seen }: Follower): string =>
  seen.map(({ seq, event }) => `${seq} ${JSON.stringify(event).slice(0, 400)}\n`).join('');

export async function expectAgreement(follower: Follower, client: ApiClient): Promise<void> {
  expect(await disagreement(follower, client)).toEqual([]);
}

/** Every reply in the transcript ended, and its end came over the wire exactly once. */
export async function expectOneEndEach(follower: Follower, client: ApiClient): Promise<void> {
  const { messages } = await client.messages(follower.session_id);
  const replies = messages.filter((message) => message.role === 'assistant');
  expect(replies.filter((reply) => reply.finished_reason === null)).toEqual([]);
  const ends = follower.ends().map((event) => event.reply_id);
  expect(ends).toEqual(replies.map((reply) => reply.id));
}
