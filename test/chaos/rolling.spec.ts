import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ApiClient, UNASKED } from '../support/client.js';
import { freePort } from '../support/redis.js';
import { Follower } from './follower.js';
import { disagreement } from './looks.js';
import { isDelta, isTerminal, Site, Talk, textOf } from './matrix-support.js';
import type { NodeProcess } from './node-process.js';
import { Chance } from '../../src/core/testing/chance.js';
import { FULL, report, SEED } from './seed.js';
import { makeText } from './storm-load.js';
import { faultsOfTools, recordResults } from './verdict.js';

const RESTARTS = FULL ? 10 : 3;
const ROLLS = FULL ? 10 : 4;
const SESSIONS = FULL ? 40 : 12;
const LEAST = 3;
const MOST = 60;
const TOKENS = 12;

let site: Site;
const closing: (() => Promise<void>)[] = [];

beforeEach(async () => {
  site = await Site.open();
}, 30_000);
afterEach(async () => {
  for (const close of closing.splice(0)) await close();
  await site.close();
});

describe('a long run whose worker is replaced again and again', () => {
  it(
    'is handed over, not begun anew, and ends once with all it had to say',
    async () => {
      const api = await site.node(['api']);
      let worker = await site.node(['worker']);
      const talk = await Talk.open(api);
      closing.push(() => talk.follower.close());
      const turn = (n: number) => `/say turn${n}\n/stream ${TOKENS} 60\n/tool record {"ms":200,"tag":"t${n}"}`;
      const turns = Array.from({ length: RESTARTS + 1 }, (_, n) => turn(n));
      const { run_id } = await talk.say([...turns, '/say the end'].join('\n/then\n'));
      const places: Record<string, number> = { 'while it speaks': 0, 'in a tool': 0 };
      for (let n = 0; n < RESTARTS; n += 1) {
        const inTool = n % 2 === 1;
        await talk.follower.until(isDelta(`turn${n}`));
        if (inTool) await talk.follower.until((event) => event.type === 'TOOL_RESULT_START' && isOfTurn(talk, n));
        places[inTool ? 'in a tool' : 'while it speaks'] = (places[inTool ? 'in a tool' : 'while it speaks'] ?? 0) + 1;
        const [code, next] = await Promise.all([worker.stop(), site.node(['worker'])]);
        expect(code).toBe(0);
        worker = next;
      }
      await talk.follower.until(isTerminal(run_id), 60_000);
      const run = await talk.ended(run_id);
      expect(run).toMatchObject({ status: 'completed', attempt: 1, error: null });
      const { timeline } = await talk.client.ok<{ timeline: { event: string; node?: string }[] }>(
        'GET',
        `/runs/${run_id}/explain`,
      );
      const of = (event: string) => timeline.filter((entry) => entry.event === event);
      expect([of('claimed').length, of('handed_over').length, of('taken_over').length, of('recovered').length]).toEqual(
        [1, RESTARTS, RESTARTS, 0],
      );
      expect(new Set([...of('claimed'), ...of('taken_over')].map(({ node }) => node)).size).toBe(RESTARTS + 1);

      const { messages } = await talk.client.messages(talk.session_id);
      const tokens = Array.from({ length: TOKENS }, (_, i) => `tok${i} `).join('');
      const said = textOf(messages[1] as (typeof messages)[0])
        .split('|')
        .join('');
      expect(said).toBe(`${turns.map((_, n) => `turn${n}${tokens}`).join('')}the end`);
      const results = recordResults([messages]);
      expect(results.map(({ state }) => state)).toEqual(turns.map(() => 'success'));
      expect(faultsOfTools(await site.ledger.executions(), results)).toEqual([]);
      expect(await talk.settle()).toEqual(['completed', 'completed']);
      expect(talk.follower.gaps).toBe(0);
      report('long run', { restarts: RESTARTS, ...places, rewinds: talk.follower.rewinds });
    },
    60_000 + RESTARTS * 10_000,
  );
});

/** Whether the tool that has just begun is the one of turn `n`. */
const isOfTurn = (talk: Talk, n: number): boolean =>
  talk.follower.messages.flatMap(({ content }) => content).filter((block) => block.type === 'tool_result').length > n;

describe('two nodes that are replaced in turn under load', () => {
  const nodes: NodeProcess[] = [];
  let isOver = false;

  /** Says it until a node accepts it, under one id. */
  async function send(chance: Chance, session_id: string, id: string, content: string): Promise<string> {
    for (;;) {
      const client = new ApiClient(chance.pick(nodes).url);
      const body = { session_id, input: { id, content } };
      const answer = await client.request<{ run_id: string }>('POST', '/chat', body).catch(() => undefined);
      if (answer?.status === 200) return answer.body.run_id;
      if (answer && answer.status < 500) throw new Error(`${answer.status} ${answer.text}`);
      await delay(50);
    }
  }

  async function converse(chance: Chance, { session_id, follower }: Talk): Promise<Map<string, string>> {
    const sent = new Map<string, string>();
    while (sent.size < LEAST || (!isOver && sent.size < MOST)) {
      const id = randomUUID();
      const run_id = await send(chance, session_id, id, makeText(chance, id));
      sent.set(id, run_id);
      if (chance.hits(0.8)) await follower.until(isTerminal(run_id), 60_000);
    }
    return sent;
  }

  it(
    'lose no run and no event',
    async () => {
      const chance = new Chance(SEED);
      const ports = [await freePort(), await freePort()];
      const start = async (i: number) => (nodes[i] = await site.node(undefined, { PORT: String(ports[i]) }));
      await Promise.all([start(0), start(1)]);
      await site.watchOverlaps();
      const talks: Talk[] = [];
      for (let i = 0; i < SESSIONS; i += 1) {
        const client = new ApiClient(nodes[i % 2]?.url ?? '');
        const { session_id } = await client.demoSession(undefined, UNASKED);
        const talk = new Talk(client, session_id, new Follower(client, session_id));
        closing.push(() => talk.follower.close());
        talks.push(talk);
      }
      const loads = Promise.all(talks.map((talk) => converse(chance.fork(), talk)));
      for (let roll = 0; roll < ROLLS; roll += 1) {
        expect(await nodes[roll % 2]?.stop()).toBe(0);
        await start(roll % 2);
      }
      isOver = true;
      const sent = await loads;
      const executions = [];
      for (const [i, talk] of talks.entries()) {
        const ids = [...(sent[i] ?? [])];
        for (const [, run_id] of ids) {
          await talk.follower.until(isTerminal(run_id), 60_000);
          expect(await talk.ended(run_id)).toMatchObject({ status: 'completed', attempt: 1 });
        }
        expect(await talk.verdict()).toEqual(ids.map(() => 'completed'));
        const { messages } = await talk.client.messages(talk.session_id);
        expect(messages.filter(({ role }) => role === 'user').map(({ id }) => id)).toEqual(ids.map(([id]) => id));
        executions.push(messages);
        expect(talk.follower.gaps).toBe(0);
        const fresh = new Follower(talk.client, talk.session_id);
        closing.push(() => fresh.close());
        expect(await disagreement(fresh, talk.client)).toEqual([]);
      }
      expect(faultsOfTools(await site.ledger.executions(), recordResults(executions))).toEqual([]);
      expect(await site.overlaps()).toEqual([]);
      const [handed] = await site.sql<{ n: number }>(
        `SELECT count(*)::int AS n FROM runs WHERE trail @> '[{"event":"handed_over"}]'`,
      );
      expect(handed?.n).toBeGreaterThan(0);
      report('rolling restart', {
        rolls: ROLLS,
        sessions: SESSIONS,
        runs: sent.reduce((sum, ids) => sum + ids.size, 0),
        'runs handed over': handed?.n ?? 0,
        reconnects: talks.reduce((sum, talk) => sum + talk.follower.connections, 0),
      });
    },
    90_000 + ROLLS * 20_000,
  );
});
