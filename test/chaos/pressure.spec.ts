import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { randomUUID } from 'node:crypto';
import { ApiClient } from '../support/client.js';
import { isTerminal, Site, Talk } from './matrix-support.js';
import { Chance } from '../../src/core/testing/chance.js';
import { FULL, report, SEED } from './seed.js';

const MESSAGES = 50;
const PARKED_MS = FULL ? 30_000 : 6_000;
const chance = new Chance(SEED);

let site: Site;
let talk: Talk;

beforeEach(async () => {
  site = await Site.open();
}, 30_000);
afterEach(async () => {
  await talk.follower.close();
  await site.close();
});

/** From now on the order in which runs are accepted is on record: their rows are written under the lock of the session. */
const watchAcceptance = () =>
  site.sql(`
    CREATE TABLE chaos_accepted (position integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY, run_id uuid NOT NULL);
    CREATE FUNCTION chaos_note_accepted() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN INSERT INTO chaos_accepted (run_id) VALUES (NEW.id); RETURN NULL; END $$;
    CREATE TRIGGER chaos_accepted AFTER INSERT ON runs FOR EACH ROW EXECUTE FUNCTION chaos_note_accepted();`);

describe('many messages at once to one session on two nodes', () => {
  it('are each answered once, in the order in which they were accepted, one at a time', async () => {
    const nodes = [await site.node(), await site.node()];
    await site.watchOverlaps();
    talk = await Talk.open(nodes[0] ?? { url: '' });
    await watchAcceptance();
    const clients = nodes.map((node) => new ApiClient(node.url));
    const ids = Array.from({ length: MESSAGES }, () => randomUUID());
    const twice = new Set(ids.filter((_, i) => i % 2 === 0));
    const begun = performance.now();
    const posts = ids
      .flatMap((id) => (twice.has(id) ? [id, id] : [id]))
      .map(async (id, i) => {
        const text = `/say ${id}\n/stream ${chance.between(1, 5)} ${chance.between(0, 5)}`;
        const { run_id } = await (clients[i % 2] ?? talk.client).say(talk.session_id, text, id);
        return { id, run_id };
      });
    const runs = new Map<string, string>();
    for (const { id, run_id } of await Promise.all(posts)) {
      // Whoever says it again hears of the run that it has.
      expect(runs.get(id) ?? run_id).toBe(run_id);
      runs.set(id, run_id);
    }
    expect(new Set(runs.values()).size).toBe(MESSAGES);
    expect(await talk.settle()).toEqual(Array<string>(MESSAGES + 1).fill('completed'));

    const ofRun = new Map([...runs].map(([id, run_id]) => [run_id, id]));
    const accepted = await site.sql<{ run_id: string }>('SELECT run_id FROM chaos_accepted ORDER BY position');
    const { messages } = await talk.client.messages(talk.session_id);
    const order = accepted.slice(0, MESSAGES).map(({ run_id }) => ofRun.get(run_id));
    expect(messages.filter(({ role }) => role === 'user').map(({ id }) => id)).toEqual([...order, expect.any(String)]);
    expect(messages.map(({ role }) => role)).toEqual(messages.map((_, i) => (i % 2 === 0 ? 'user' : 'assistant')));
    for (const [i, id] of order.entries())
      expect(messages[2 * i + 1]?.content[0]).toMatchObject({ type: 'text', text: expect.stringContaining(id ?? '') });
    expect(await site.overlaps()).toEqual([]);
    const owners = await site.sql<{ owner: string; n: number }>(
      'SELECT owner, count(*)::int AS n FROM runs GROUP BY 1',
    );
    report('messages at once', {
      messages: MESSAGES,
      twice: twice.size,
      ms: Math.round(performance.now() - begun),
      shares: owners.map(({ n }) => n).join('/'),
    });
  });
});

describe('a parked session with a message behind it', () => {
  it('is left alone by workers that look for work', async () => {
    const api = await site.node(['api']);
    for (let i = 0; i < 2; i += 1) await site.node(['worker']);
    talk = await Talk.open(api);
    const parked = await talk.park();
    const later = await talk.say('later');
    const other = await Talk.open(api);
    /** The rows with the transactions that wrote or locked them last. */
    const rows = () =>
      site.sql(`
        SELECT 'lease' AS kind, t.ctid::text, t.xmin::text, t.xmax::text, to_jsonb(t) AS row FROM session_leases t
        WHERE session_id = '${talk.session_id}'
        UNION ALL SELECT 'run', t.ctid::text, t.xmin::text, t.xmax::text, to_jsonb(t) FROM runs t
        WHERE session_id = '${talk.session_id}' ORDER BY kind, ctid`);
    const before = await rows();
    expect(before).toHaveLength(3);
    let claims = 0;
    // The doorbell rings all the time, for a session beside it.
    for (const until = performance.now() + PARKED_MS; performance.now() < until; claims += 1) {
      const { run_id } = await other.say('/stream 20 10');
      await other.follower.until(isTerminal(run_id));
    }
    expect(await rows()).toEqual(before);
    expect(claims).toBeGreaterThan(PARKED_MS / 1000);
    report('parked session', { 'claims beside it': claims, ms: PARKED_MS });
    expect(await talk.run(later.run_id)).toMatchObject({ status: 'queued', attempt: 0 });
    await talk.answer(
      parked,
      parked.open_calls.map((call) => call.tool_call_id),
    );
    expect(await talk.ended(later.run_id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect(await talk.settle()).toEqual(['completed', 'completed', 'completed']);
    await other.follower.close();
  });
});
