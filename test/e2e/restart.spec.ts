import { afterEach, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { checkGrammar } from '../../src/core/events/grammar.js';
import { reduce } from '../../src/core/events/reducer.js';
import { ApiClient, type EventStream, type SeenEvent } from '../support/client.js';
import { createTestDatabase, query } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';
import { makeDataFolder, removeDataFolder } from '../support/services.js';
import { type Service, startService } from '../support/service.js';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const step of cleanUp.splice(0).reverse()) await step();
});

async function dataFolder(): Promise<string> {
  const folder = await makeDataFolder();
  cleanUp.push(() => removeDataFolder(folder));
  return folder;
}

async function started(options: Parameters<typeof startService>[0]): Promise<Service> {
  const service = await startService(options);
  cleanUp.push(() => service.stop());
  return service;
}

/** A turn with a checkpoint behind it, in the middle of a slow second model call. */
const LONG = '/say before\n/tool calculator {"expression":"6*7"}\n/then\n/stream 30 50\n/say after';

const isDelta = (text: string) => (it: SeenEvent) => it.event.type === 'TEXT_BLOCK_DELTA' && it.event.delta === text;
const lastSeq = (stream: EventStream) => stream.seen.at(-1)?.seq ?? 0;
const gaps = (seen: SeenEvent[]) => seen.filter(({ event }) => event.type === 'CUSTOM' && event.name === 'gap');
const events = (...streams: EventStream[]) => streams.flatMap((stream) => stream.seen.map((it) => it.event));

function increasing(seen: SeenEvent[]): void {
  for (const [index, { seq }] of seen.entries()) if (index > 0) expect(seq).toBeGreaterThan(seen[index - 1]?.seq ?? 0);
}

describe('an embedded service that is killed', () => {
  it('goes on with the reply at its last checkpoint; numbers never go back', async () => {
    const dataDir = await dataFolder();
    const first = await started({ dataDir });
    const client = new ApiClient(first.url);
    const { session_id } = await client.demoSession();
    const before = await client.stream(session_id, '?after=0');
    await client.say(session_id, 'hello');
    await before.replies();
    await client.say(session_id, LONG);
    await before.until(isDelta('tok3 '));
    await first.kill();
    await before.end();

    const second = await started({ dataDir });
    const again = new ApiClient(second.url);
    const after = await again.stream(session_id, '', { 'last-event-id': String(lastSeq(before)) });
    const end = await after.replies();
    expect(end.event).toMatchObject({ finished_reason: 'completed' });
    increasing([...before.seen, ...after.seen]);
    const { messages } = await again.messages(session_id);
    expect(messages.map((message) => message.role)).toEqual(['user', 'assistant', 'user', 'assistant']);
    const results = messages[3]?.content.filter((block) => block.type === 'tool_result') ?? [];
    expect(results).toHaveLength(1);
    expect(results[0]).toMatchObject({ state: 'success' });
    const spoken = messages[3]?.content.map((block) => (block.type === 'text' ? block.text : '')).join('|');
    expect(spoken).toMatch(/^before\|.*tok0 tok1 .*tok29 \|after$/);
    if (gaps(after.seen).length === 0) {
      checkGrammar(events(before, after), { complete: true });
      expect(reduce(events(before, after))).toEqual(messages);
    }

    // The log began anew: whoever stood further back is told what is gone, and can go on from there.
    const behind = await again.stream(session_id, '?after=1');
    await behind.replies();
    expect(gaps(behind.seen)).toHaveLength(1);
    expect(behind.seen[0]?.event).toMatchObject({ type: 'CUSTOM', name: 'gap' });

    await again.say(session_id, 'and then?');
    const next = await after.replies(2);
    expect(next.seq).toBeGreaterThan(end.seq);
    expect((await again.messages(session_id)).messages).toHaveLength(6);
    [after, behind].forEach((stream) => stream.close());
  });

  it('answers what was queued, and an idle session is told of the gap', async () => {
    const dataDir = await dataFolder();
    const first = await started({ dataDir });
    const client = new ApiClient(first.url);
    const [busy, idle] = [await client.demoSession(), await client.demoSession()];
    const watch = await client.stream(idle.session_id);
    await client.say(idle.session_id, 'quiet');
    await watch.replies();
    await client.say(busy.session_id, '/say first\n/sleep 500');
    await client.say(busy.session_id, 'second');
    await client.say(busy.session_id, 'third');
    await first.kill();

    const again = new ApiClient((await started({ dataDir })).url);
    const stream = await again.stream(busy.session_id, '?after=0');
    await stream.replies(3);
    const { messages } = await again.messages(busy.session_id);
    expect(messages.filter((it) => it.role === 'user')).toHaveLength(3);
    expect(messages.filter((it) => it.finished_reason === 'completed')).toHaveLength(3);
    const late = await again.stream(idle.session_id, '?after=0');
    const gap = await late.until(({ event }) => event.type === 'CUSTOM' && event.name === 'gap');
    expect(gap.seq).toBe((await again.messages(idle.session_id)).as_of_seq);
    [stream, late].forEach((it) => it.close());
  });
});

describe('a service that is asked to stop', () => {
  it('leaves a reply at the next step, says goodbye to its streams, and ends with 0; the reply goes on with the next start', async () => {
    const dataDir = await dataFolder();
    const service = await started({ dataDir });
    const client = new ApiClient(service.url);
    const { session_id } = await client.demoSession();
    const watch = await client.stream(session_id, '?after=0');
    const { run_id } = await client.say(session_id, '/say one\n/sleep 3600000\n/say two');
    await watch.until(isDelta('one'));
    expect(await service.stop()).toBe(0);
    await watch.end();
    expect(watch.raw.trimEnd().split('\n').at(-1)).toMatch(/^retry: \d+$/);
    const again = new ApiClient((await started({ dataDir })).url);
    const after = await again.stream(session_id, `?after=${lastSeq(watch)}`);
    await after.until(isDelta('one'));
    await again.ok('POST', `/runs/${run_id}/cancel`);
    await after.replies();
    const run = await again.ok('GET', `/runs/${run_id}`);
    expect(run).toMatchObject({
      status: 'interrupted',
      attempt: 1,
      stop: { requested_by: 'alice', mode: 'interrupt' },
    });
    after.close();
  });

  it('waits for a tool that runs, and another node does not run it again', async () => {
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const env = { DATABASE_URL: database.url, AERIE_ENCRYPTION_KEYS: randomBytes(32).toString('base64') };
    const first = await started({ env });
    const client = new ApiClient(first.url);
    const { session_id } = await client.demoSession();
    const watch = await client.stream(session_id, '?after=0');
    await client.say(session_id, '/tool calculator {"expression":"6*7"}\n/then\n/sleep 600000\n/then\n/say end');
    await watch.until(({ event }) => event.type === 'TOOL_RESULT_END');
    expect(await first.stop()).toBe(0);
    const again = new ApiClient((await started({ env })).url);
    const after = await again.stream(session_id, '?after=latest');
    await again.ok('POST', `/sessions/${session_id}/interrupt`);
    await after.replies();
    const { messages } = await again.messages(session_id);
    const results = messages.flatMap((it) => it.content).filter((block) => block.type === 'tool_result');
    expect(results).toMatchObject([{ state: 'success' }]);
    after.close();
  });

  it('hands a long reply over to its next start', async () => {
    const dataDir = await dataFolder();
    const service = await started({ dataDir, env: { AERIE_DRAIN_SECONDS: '0' } });
    const client = new ApiClient(service.url);
    const { session_id } = await client.demoSession();
    const watch = await client.stream(session_id, '?after=0');
    await client.say(session_id, LONG);
    await watch.until(isDelta('tok1 '));
    expect(await service.stop()).toBe(0);
    const again = new ApiClient((await started({ dataDir })).url);
    const after = await again.stream(session_id, `?after=${lastSeq(watch)}`);
    expect((await after.replies()).event).toMatchObject({ finished_reason: 'completed' });
    increasing([...watch.seen, ...after.seen]);
    after.close();
  });
});

describe('a service whose database connections are cut', () => {
  it('stays up, and the run at work comes to its end', async () => {
    const database = await createTestDatabase();
    cleanUp.push(() => database.drop());
    const env = { DATABASE_URL: database.url, AERIE_ENCRYPTION_KEYS: randomBytes(32).toString('base64') };
    const service = await started({ env });
    const client = new ApiClient(service.url);
    const { session_id } = await client.demoSession();
    const watch = await client.stream(session_id, '?after=0');
    await client.say(session_id, '/say one\n/tool calculator {"expression":"1+1"}\n/then\n/sleep 300\n/say two');
    await watch.until(({ event }) => event.type === 'TOOL_RESULT_END');
    await query(
      database.url,
      'SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()',
    );
    expect((await watch.replies()).event).toMatchObject({ finished_reason: 'completed' });
    await client.say(session_id, 'still there?');
    await watch.replies(2);
    expect(reduce(events(watch))).toEqual((await client.messages(session_id)).messages);
    watch.close();
  });
});

describe('several nodes on PostgreSQL and Redis', () => {
  it('a worker takes what an API node accepts, and another one goes on when it is killed', async () => {
    const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
    cleanUp.push(
      () => database.drop(),
      () => redis.stop(),
    );
    const env = {
      DATABASE_URL: database.url,
      REDIS_URL: redis.url,
      AERIE_ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
      AERIE_LEASE_SECONDS: '3',
    };
    const api = await started({ env: { ...env, AERIE_ROLES: 'api' } });
    const worker = await started({ env: { ...env, AERIE_ROLES: 'worker' } });
    const client = new ApiClient(api.url);
    const { session_id } = await client.demoSession();
    const watch = await client.stream(session_id, '?after=0');
    expect((await client.say(session_id, LONG)).status).toBe('queued');
    await watch.until(isDelta('tok3 '));
    await worker.kill();
    await started({ env: { ...env, AERIE_ROLES: 'worker' } });
    const end = await watch.replies();
    expect(end.event).toMatchObject({ finished_reason: 'completed' });
    expect(gaps(watch.seen)).toEqual([]);
    increasing(watch.seen);
    checkGrammar(events(watch), { complete: true });
    const { messages } = await client.messages(session_id);
    expect(reduce(events(watch))).toEqual(messages);
    expect(watch.seen.some(({ event }) => event.type === 'CUSTOM' && event.name === 'reply_rewound')).toBe(true);
    watch.close();
  });

  it('does not start without Redis beside a node that has it, nor the other way round', async () => {
    const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
    cleanUp.push(
      () => database.drop(),
      () => redis.stop(),
    );
    const env = { DATABASE_URL: database.url, AERIE_ENCRYPTION_KEYS: randomBytes(32).toString('base64') };
    const alone = await started({ env });
    await expect(startService({ env })).rejects.toThrow(/REDIS_URL: another Aerie process/);
    await expect(startService({ env: { ...env, REDIS_URL: redis.url } })).rejects.toThrow(
      /without Redis works on this/,
    );
    await alone.stop();
    await started({ env: { ...env, REDIS_URL: redis.url } });
    await started({ env: { ...env, REDIS_URL: redis.url } });
    await expect(startService({ env })).rejects.toThrow(/REDIS_URL: another Aerie process/);
  });
});
