import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { isDelta, isTerminal, occupy, Site, Talk } from '../chaos/matrix-support.js';
import { eventually } from '../support/eventually.js';

/** Slots of the service: a session is queued when others have them all. */
const SLOTS = 2;

let site: Site;
let url: string;
let talk: Talk;
let free: () => Promise<void> = async () => undefined;

beforeAll(async () => {
  site = await Site.open({ AERIE_WORKER_CONCURRENCY: String(SLOTS) }, { alone: true });
  ({ url } = await site.node());
  await site.watchOverlaps();
}, 30_000);
afterAll(() => site.close());

beforeEach(async () => {
  talk = await Talk.open({ url });
});
afterEach(async () => {
  await free();
  await talk.follower.close();
});

type State = 'idle' | 'queued' | 'running' | 'parked';
type Policy = 'enqueue' | 'reject' | 'interrupt' | 'rollback';

/** What was there before the message that meets it: runs, oldest first, and how to let them go on. */
interface Before {
  readonly first: string;
  readonly behind: string | null;
  readonly tool_call_ids: string[];
  go(): Promise<unknown>;
}

const BRING: Record<State, () => Promise<Before>> = {
  idle: async () => ({ first: '', behind: null, tool_call_ids: [], go: async () => undefined }),
  queued: async () => {
    free = await occupy({ url }, SLOTS);
    const first = await talk.say('first');
    expect(first.status).toBe('queued');
    return { first: first.run_id, behind: null, tool_call_ids: [], go: free };
  },
  running: async () => {
    const first = await talk.sayUntil('/say first\n/sleep 500', isDelta('first'));
    const behind = await talk.say('behind');
    return { first, behind: behind.run_id, tool_call_ids: [], go: async () => undefined };
  },
  parked: async () => {
    const run = await talk.park();
    const behind = await talk.say('behind');
    const tool_call_ids = run.open_calls.map((call) => call.tool_call_id);
    return { first: run.id, behind: behind.run_id, tool_call_ids, go: () => talk.answer(run, tool_call_ids) };
  },
};

const DONE = 'completed';
/** For each state and policy: how the message is answered, and how the runs end, oldest first. */
const TABLE: Record<State, Record<Policy, [answer: string, ends: string[]]>> = {
  idle: {
    enqueue: ['started', [DONE]],
    reject: ['started', [DONE]],
    interrupt: ['started', [DONE]],
    rollback: ['started', [DONE]],
  },
  queued: {
    enqueue: ['queued', [DONE, DONE]],
    reject: ['session_busy', [DONE]],
    interrupt: ['queued', ['cancelled', DONE]],
    rollback: ['queued', ['cancelled', DONE]],
  },
  running: {
    enqueue: ['queued', [DONE, DONE, DONE]],
    reject: ['session_busy', [DONE, DONE]],
    interrupt: ['queued', ['interrupted', 'cancelled', DONE]],
    rollback: ['queued', ['interrupted', 'cancelled', DONE]],
  },
  parked: {
    enqueue: ['queued', [DONE, DONE, DONE]],
    reject: ['session_parked', [DONE, DONE]],
    interrupt: ['queued', ['interrupted', 'cancelled', DONE]],
    rollback: ['queued', ['interrupted', 'cancelled', DONE]],
  },
};

const CASES = Object.entries(TABLE).flatMap(([state, policies]) =>
  Object.entries(policies).map(
    ([on_busy, [answer, ends]]) => [state as State, on_busy as Policy, answer, ends] as const,
  ),
);

/** The lines of the transcript that a run leaves. */
function linesOf(text: RegExp, end: string, rolledBack: boolean): RegExp[] {
  if (end === 'cancelled') return [];
  return rolledBack ? [text] : [text, new RegExp(`^${end} `)];
}

describe('a message to a session', () => {
  it.each(CASES)('that is %s, with %s: %s, then %j', async (state, on_busy, expected, ends) => {
    const before = await BRING[state]();
    const { first, behind, tool_call_ids } = before;
    const answer = await talk.post('the new one', { on_busy });
    const stops = (on_busy === 'interrupt' || on_busy === 'rollback') && (state === 'running' || state === 'parked');
    if (expected === 'session_busy') {
      const details = { blocking_run_id: first, status: state };
      expect([answer.status, answer.body]).toMatchObject([409, { error: { code: 'session_busy', details } }]);
      expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    } else if (expected === 'session_parked') {
      const details = { run_id: first, tool_call_ids };
      expect([answer.status, answer.body]).toMatchObject([409, { error: { code: 'session_parked', details } }]);
    } else {
      expect(answer.status).toBe(200);
      expect(answer.body).toEqual({
        status: expected,
        session_id: talk.session_id,
        run_id: expect.any(String),
        ...(stops ? { stopped_run_id: first } : {}),
        ...(state === 'parked' && !stops
          ? { blocked_by: { run_id: first, status: 'waiting', tool_call_ids, approval_ids: [expect.any(String)] } }
          : {}),
      });
    }
    if (!(stops && state === 'parked')) await before.go();

    expect(await talk.settle()).toEqual([...ends, DONE]);
    const removed = stops && on_busy === 'rollback';
    const texts = [
      ...(first ? [/^user .*(first|wait)/] : []),
      ...(behind ? [/^user behind$/] : []),
      /^user the new one$/,
    ];
    const lines = texts.flatMap((text, i) => (ends[i] ? linesOf(text, ends[i], removed && i === 0) : []));
    const expectedLines = [...lines, /^user and now\?$/, /^completed You said: and now\?$/];
    expect(await talk.transcript()).toEqual(expectedLines.map((line) => expect.stringMatching(line)));
    const removals = talk.follower.seen.filter(
      ({ event }) => event.type === 'CUSTOM' && event.name === 'reply_removed',
    );
    expect(removals).toHaveLength(removed ? 1 : 0);
    if (stops) expect(await talk.run(first)).toMatchObject({ stop: { requested_by: 'alice', mode: on_busy } });
    expect(await site.overlaps()).toEqual([]);
  });
});

describe('messages one after the other', () => {
  it('that each take the place of the last leave one answer to the last, and no run twice', async () => {
    const texts = Array.from({ length: 12 }, (_, i) => `/say reply${i}\n/sleep 600000`);
    const runs: string[] = [];
    for (const text of texts) runs.push((await talk.say(text, { on_busy: 'interrupt' })).run_id);
    await talk.follower.until(isDelta('reply11'));
    await talk.client.ok('POST', `/sessions/${talk.session_id}/interrupt`);
    const ends = await talk.settle();
    expect(ends.slice(-2)).toEqual(['interrupted', 'completed']);
    expect(ends.filter((end) => !['interrupted', 'cancelled'].includes(end))).toEqual(['completed']);
    expect(await site.overlaps()).toEqual([]);
  });

  it.each<Policy>(['interrupt', 'rollback'])('stop nothing when they are repeated, with %s', async (on_busy) => {
    free = await occupy({ url }, SLOTS);
    const first = await talk.say('first');
    const say = () => talk.say('/say second\n/sleep 500', { id: 'm2', on_busy });
    const second = await say();
    expect(await talk.run(first.run_id)).toMatchObject({ status: 'cancelled' });
    const whileQueued = await Promise.all([say(), say()]);
    expect(whileQueued).toEqual([second, second]);
    await free();
    await talk.follower.until(isDelta('second'));
    expect(await say()).toEqual({ ...second, status: 'started' });
    expect(await talk.ended(second.run_id)).toMatchObject({ status: 'completed', stop: null });
    expect(await say()).toMatchObject({ run_id: second.run_id });
    expect(await talk.settle()).toEqual(['cancelled', 'completed', 'completed']);
  });

  it('that come at once keep the order of their acceptance, each once', async () => {
    const texts = Array.from({ length: 20 }, (_, i) => `message ${i}`);
    const accepted = await Promise.all(texts.map((text) => talk.say(text)));
    expect(await talk.settle()).toEqual(Array<string>(21).fill('completed'));
    const byRun = new Map(accepted.map(({ run_id }, i) => [run_id, texts[i]]));
    const inOrder = await site.sql<{ id: string }>(
      `SELECT id FROM runs WHERE session_id = '${talk.session_id}' ORDER BY started_at`,
    );
    const said = (await talk.transcript()).filter((line) => line.startsWith('user ')).map((line) => line.slice(5));
    expect(said).toEqual([...inOrder.slice(0, -1).map(({ id }) => byRun.get(id)), 'and now?']);
    expect([...said].sort()).toEqual([...texts, 'and now?'].sort());
    expect(await site.overlaps()).toEqual([]);
  });
});

describe('coalesce_ms', () => {
  const users = (lines: string[]) => lines.filter((line) => line.startsWith('user '));

  it('makes one run of what is said within it; what comes later is a run of its own', async () => {
    const first = await talk.say('one', { coalesce_ms: 1000 });
    const second = await talk.say('two', { coalesce_ms: 1000 });
    const third = await talk.say('three', { id: 'm3' });
    expect(await talk.say('three', { id: 'm3' })).toEqual(third);
    expect([second.run_id, third.run_id]).toEqual([first.run_id, first.run_id]);
    expect([first, second, third].map(({ status }) => status)).toEqual(['queued', 'queued', 'queued']);
    expect(await talk.run(first.run_id)).toMatchObject({ status: 'queued' });
    await talk.follower.until(isTerminal(first.run_id));
    expect(await talk.transcript()).toEqual(['user one', 'user two', 'user three', 'completed You said: three']);
    const later = await talk.say('four', { coalesce_ms: 200 });
    expect(later.run_id).not.toBe(first.run_id);
    await talk.follower.until(isTerminal(later.run_id));
    expect(await talk.settle()).toEqual(['completed', 'completed', 'completed']);
    expect(users(await talk.transcript())).toHaveLength(5);
  });

  it('waits out its time and no longer, and a message sent twice is in it once', async () => {
    const ms = 700;
    const { run_id } = await talk.say('one', { id: 'm1', coalesce_ms: ms });
    expect(await talk.say('one', { id: 'm1', coalesce_ms: ms })).toMatchObject({ run_id, status: 'queued' });
    const run = await talk.ended(run_id);
    const waited = Date.parse(run.started_at ?? '') - Date.parse(run.accepted_at);
    expect(waited).toBeGreaterThanOrEqual(ms - 5);
    expect(waited).toBeLessThan(ms + 1500);
    expect(users(await talk.transcript())).toEqual(['user one']);
  });

  it('collects behind a run at work without keeping what is there from its end', async () => {
    const first = await talk.sayUntil('/say first\n/sleep 300', isDelta('first'));
    const collected = await talk.say('a', { coalesce_ms: 1200 });
    expect(await talk.say('b')).toMatchObject({ run_id: collected.run_id });
    await talk.ended(first);
    expect(await talk.run(collected.run_id)).toMatchObject({ status: 'queued' });
    await talk.ended(collected.run_id);
    expect((await talk.transcript()).slice(2)).toEqual(['user a', 'user b', 'completed You said: b']);
    expect(await talk.settle()).toEqual(['completed', 'completed', 'completed']);
  });

  it('is cut short by an interrupt: what was collected is cancelled as one', async () => {
    const first = await talk.say('a', { coalesce_ms: 60_000 });
    await talk.say('b');
    const next = await talk.say('c', { on_busy: 'interrupt' });
    await talk.follower.until(isTerminal(next.run_id));
    await eventually(() => (talk.terminals(first.run_id).length > 0 ? true : undefined));
    expect(await talk.settle()).toEqual(['cancelled', 'completed', 'completed']);
    expect(users(await talk.transcript())).toEqual(['user c', 'user and now?']);
  });
});
