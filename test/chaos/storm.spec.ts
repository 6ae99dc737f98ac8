import { afterEach, describe, expect, it } from '@jest/globals';
import { Follower } from './follower.js';
import { timesRun } from './ledger.js';
import { disagreement } from './looks.js';
import { Chance } from '../../src/core/testing/chance.js';
import { FULL, report, SEED } from './seed.js';
import { Stage } from './stage.js';
import { Conversation, RunWatch } from './storm-load.js';
import { type Act, forecast, Weather } from './storm-weather.js';
import { faultsOfTools, faultsOfTranscript, recordResults } from './verdict.js';
import { UNASKED } from '../support/client.js';

const SIZE = FULL
  ? { conversations: 200, messages: 4, kills: 24, rolls: 12 }
  : { conversations: 24, messages: 2, kills: 4, rolls: 4 };
const TIMEOUT_MS = FULL ? 1_800_000 : 240_000;

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
}, 60_000);

async function countRuns(stage: Stage): Promise<Record<string, number>> {
  const rows = await stage.sql<{ status: string; count: string }>('SELECT status, count(*) FROM runs GROUP BY status');
  const counts = Object.fromEntries(rows.map(({ status, count }) => [status, Number(count)]));
  return { completed: 0, failed: 0, interrupted: 0, ...counts };
}

async function open(stage: Stage, chance: Chance): Promise<Conversation[]> {
  const client = stage.client();
  const watch = new RunWatch(stage);
  const { agent_id } = await client.demoSession(undefined, UNASKED);
  const conversations: Conversation[] = [];
  for (let made = 0; made < SIZE.conversations; made += 1) {
    const { session_id } = await client.ok<{ session_id: string }>('POST', '/sessions', { agent_id, ...UNASKED });
    const follower = new Follower(client, session_id);
    cleanUp.push(() => follower.close());
    conversations.push(new Conversation(stage, follower, chance.fork(), watch));
  }
  return conversations;
}

interface Passage {
  readonly name: string;
  readonly acts: (chance: Chance) => Act[];
  readonly drainSeconds: number;
}

/** Has conversations go on while the acts befall the service, and looks at what is left; gives how many calls have an unknown outcome. */
async function goThrough({ name, acts, drainSeconds }: Passage): Promise<number> {
  const began = performance.now();
  const chance = new Chance(SEED);
  const env = { AERIE_DRAIN_SECONDS: String(drainSeconds), AERIE_RUN_MAX_ATTEMPTS: '100' };
  const stage = await Stage.open({ ownPostgres: true, env });
  cleanUp.push(() => stage.close());
  const client = stage.client();
  const conversations = await open(stage, chance);
  const total = (count: (it: Conversation) => number) => conversations.reduce((sum, it) => sum + count(it), 0);
  const weather = new Weather(stage, chance.fork(), () => total(({ follower }) => follower.seen.length));
  await weather.start(2);

  let over = false;
  const storm = weather.run(acts(chance.fork())).finally(() => (over = true));
  const talks = conversations.map((conversation) => conversation.talk(SIZE.messages, () => over));
  await Promise.all([storm, ...talks]);
  const seconds = Math.round((performance.now() - began) / 1000);

  const pages = await Promise.all(conversations.map(({ session_id }) => client.messages(session_id)));
  const transcripts = pages.map(({ messages }) => messages);
  const accepted = total(({ sent }) => sent.length);
  const runs = await countRuns(stage);
  const executions = await stage.ledger.executions();
  const results = recordResults(transcripts);
  const unknown = results.filter(({ state }) => state === 'error').length;
  report(name, {
    conversations: conversations.length,
    accepted,
    ...runs,
    ...weather.counts,
    'tool calls': executions.length,
    'most executions of a non-idempotent call': Math.max(0, ...timesRun(executions, 'record').values()),
    'unknown outcomes': unknown,
    repeats: total(({ repeated }) => repeated),
    events: total(({ follower }) => follower.seen.length),
    gaps: total(({ follower }) => follower.gaps),
    rewinds: total(({ follower }) => follower.rewinds),
    reconnections: total(({ follower }) => follower.connections - 1),
    seconds,
  });

  const faults = [
    ...conversations.flatMap((conversation, index) => faultsOfTranscript(conversation, transcripts[index] ?? [])),
    ...faultsOfTools(executions, results),
    ...(await Promise.all(conversations.map(({ follower }) => disagreement(follower, client)))).flat(),
  ];
  expect(faults).toEqual([]);
  // Nothing of this is a reason for a run to fail.
  expect(runs).toEqual({ completed: accepted, failed: 0, interrupted: 0 });
  return unknown;
}

describe('conversations that go on', () => {
  it(
    'come out whole of a storm of kills and lost stores',
    async () => {
      await goThrough({ name: 'storm', acts: (chance) => forecast(chance, SIZE.kills), drainSeconds: 1 });
    },
    TIMEOUT_MS,
  );

  it(
    'notice nothing of workers that are restarted one by one, and no tool is broken off',
    async () => {
      const acts = () => Array.from({ length: SIZE.rolls }, () => 'roll' as const);
      expect(await goThrough({ name: 'rolling restarts', acts, drainSeconds: 10 })).toBe(0);
    },
    TIMEOUT_MS,
  );
});
