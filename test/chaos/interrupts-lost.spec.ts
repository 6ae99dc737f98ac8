import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import { type RedisServer, startRedis } from '../support/redis.js';
import { isDelta, isTerminal, Site, Talk } from './matrix-support.js';
import type { NodeProcess } from './node-process.js';
import { report } from './seed.js';

const SOON_MS = 1500;
const SLEEPS = '/say zzz\n/sleep 600000';

let site: Site;
let elsewhere: RedisServer;
let talk: Talk;

beforeEach(async () => {
  [site, elsewhere] = await Promise.all([Site.open(), startRedis()]);
}, 30_000);
afterEach(async () => {
  await talk.follower.close();
  await site.close();
  await elsewhere.kill();
});

const tool = '/tool record {"ms":60000,"tag":"t"}\n/then\n/say after';

describe('a stop whose signal is lost', () => {
  const LOSSES: [string, () => Promise<NodeProcess>][] = [
    [
      'because its worker listens elsewhere',
      async () => {
        await site.node(['worker'], { INTERRUPT_REDIS_URL: elsewhere.url });
        return site.node(['api']);
      },
    ],
    [
      'because the Redis of the signals stands still',
      async () => {
        await site.node(['worker'], { INTERRUPT_REDIS_URL: elsewhere.url });
        const api = await site.node(['api'], { INTERRUPT_REDIS_URL: elsewhere.url });
        process.kill(elsewhere.pid, 'SIGSTOP');
        return api;
      },
    ],
    [
      'because the Redis of the signals is gone',
      async () => {
        await site.node(['worker'], { INTERRUPT_REDIS_URL: elsewhere.url });
        const api = await site.node(['api'], { INTERRUPT_REDIS_URL: elsewhere.url });
        await elsewhere.kill();
        return api;
      },
    ],
  ];

  it.each(LOSSES)('arrives by the database, %s', async (name, start) => {
    talk = await Talk.open(await start());
    const ms: number[] = [];
    for (const begin of [
      () => talk.sayUntil(SLEEPS, isDelta('zzz')),
      () => talk.sayUntil(tool, (event) => event.type === 'TOOL_RESULT_START'),
      async () => (await talk.park()).id,
    ]) {
      const run_id = await begin();
      await talk.client.ok('POST', `/runs/${run_id}/cancel`);
      const answeredAt = performance.now();
      await talk.follower.until(isTerminal(run_id));
      ms.push(Math.round(performance.now() - answeredAt));
      expect(await talk.ended(run_id)).toMatchObject({ status: 'interrupted' });
    }
    report(`stop ${name}`, { 'in model call': ms[0] ?? '', 'in tool': ms[1] ?? '', parked: ms[2] ?? '' });
    expect(Math.max(...ms)).toBeLessThan(SOON_MS);
    expect(await talk.settle()).toEqual(['interrupted', 'interrupted', 'interrupted', 'completed']);
  });
});

describe('an API node that is killed right after it took a message that interrupts', () => {
  /** Resolves in the moment in which a run of the session is committed. */
  async function nextRun(session_id: string): Promise<{ committed: Promise<string>; end: () => Promise<void> }> {
    await site.sql(`
      CREATE FUNCTION chaos_tell_run() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN
        IF NEW.session_id = '${session_id}' THEN PERFORM pg_notify('chaos_runs', NEW.id::text); END IF;
        RETURN NULL;
      END $$;
      CREATE TRIGGER chaos_tell_run AFTER INSERT ON runs FOR EACH ROW EXECUTE FUNCTION chaos_tell_run();`);
    const listener = new pg.Client({ connectionString: site.databaseUrl });
    await listener.connect();
    const committed = new Promise<string>((resolve) =>
      listener.once('notification', ({ payload }: pg.Notification) => resolve(payload ?? '')),
    );
    await listener.query('LISTEN chaos_runs');
    return { committed, end: () => listener.end() };
  }

  it.each<[string, string]>([
    ['interrupt', 'interrupted'],
    ['rollback', 'interrupted'],
  ])('has stopped the run, and the new one comes: %s', async (on_busy, status) => {
    // Its signals reach nobody, so that what happens is what the database has of it.
    const api = await site.node(['api'], { INTERRUPT_REDIS_URL: elsewhere.url });
    await site.node(['worker']);
    const other = await site.node(['api']);
    talk = await Talk.open(other);
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const { committed, end } = await nextRun(talk.session_id);
    const posted = fetch(`${api.url}/chat`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-user-id': 'alice' },
      body: JSON.stringify({ session_id: talk.session_id, input: { id: 'm', content: '/say instead' }, on_busy }),
    }).then(
      (response) => `answered ${response.status}`,
      () => 'cut off',
    );
    const second = await committed;
    await api.kill();
    await end();
    await talk.follower.until(isTerminal(first));
    await talk.follower.until(isTerminal(second));
    report(`API node killed after on_busy=${on_busy}`, { 'its client': await posted });
    expect(await talk.run(first)).toMatchObject({ status, stop: { requested_by: 'alice', mode: on_busy } });
    expect(await talk.run(second)).toMatchObject({ status: 'completed', attempt: 1, stop: null });
    const again = await talk.say('/say instead', { id: 'm' });
    expect(again.run_id).toBe(second);
    expect(await talk.settle()).toEqual([status, 'completed', 'completed']);
    const lines = await talk.transcript();
    expect(lines.slice(0, on_busy === 'rollback' ? 3 : 4)).toEqual([
      'user /say zzz\n/sleep 600000',
      ...(on_busy === 'rollback' ? [] : ['interrupted zzz']),
      'user /say instead',
      'completed instead',
    ]);
  });
});
