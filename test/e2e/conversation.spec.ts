import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { randomBytes } from 'node:crypto';
import { checkGrammar } from '../../src/core/events/grammar.js';
import { reduce } from '../../src/core/events/reducer.js';
import type { Msg } from '../../src/core/messages/message.js';
import { ApiClient, type EventStream, type MessagesBody } from '../support/client.js';
import { createTestDatabase } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';
import { type Service, startService } from '../support/service.js';

/** Where the POSTs go and where the streams come from. */
interface Deployment {
  readonly posts: Service;
  readonly streams: Service;
  stop(): Promise<void>;
}

async function embedded(): Promise<Deployment> {
  const service = await startService();
  return { posts: service, streams: service, stop: async () => void (await service.stop()) };
}

/** Two API processes on one PostgreSQL and one Redis; the one that streams never works on a run. */
async function twoNodes(): Promise<Deployment> {
  const [database, redis] = await Promise.all([createTestDatabase(), startRedis()]);
  const env = {
    DATABASE_URL: database.url,
    REDIS_URL: redis.url,
    AERIE_ENCRYPTION_KEYS: randomBytes(32).toString('base64'),
  };
  const posts = await startService({ env });
  const streams = await startService({ env: { ...env, AERIE_ROLES: 'api' } });
  const stop = async () => {
    await Promise.all([posts.stop(), streams.stop()]);
    await redis.stop();
    await database.drop();
  };
  return { posts, streams, stop };
}

const SCRIPT = [
  '/think let me see',
  '/say I will compute.',
  '/tool calculator {"expression":"6*7"}',
  '/tool current_time {"timezone":"Europe/Berlin"}',
  '/then',
  '/say The answer to it is 42.',
].join('\n');

describe.each([
  ['embedded PostgreSQL and in-process bus', embedded],
  ['PostgreSQL and Redis, POST and stream on different processes', twoNodes],
])('a conversation on %s', (_name, deploy) => {
  let deployment: Deployment;
  let poster: ApiClient;
  let reader: ApiClient;

  beforeAll(async () => {
    deployment = await deploy();
    poster = new ApiClient(deployment.posts.url);
    reader = new ApiClient(deployment.streams.url);
  }, 60_000);
  afterAll(() => deployment.stop());

  it('carries three turns to two tabs, and a late joiner sees the same', async () => {
    const { session_id } = await poster.demoSession();
    const tabs = await Promise.all([reader.stream(session_id), reader.stream(session_id, '?after=0')]);
    for (const [turn, text] of ['hello', SCRIPT, '/stream 50'].entries()) {
      await poster.say(session_id, text);
      await Promise.all(tabs.map((tab) => tab.replies(turn + 1)));
    }
    const { messages, is_running } = await reader.messages(session_id);
    expect(is_running).toBe(false);
    expect(messages.map((message) => message.role)).toEqual([
      'user',
      'assistant',
      'user',
      'assistant',
      'user',
      'assistant',
    ]);
    expect(textOf(messages[1])).toBe('You said: hello');
    expect(textOf(messages[3])).toBe('I will compute.The answer to it is 42.');
    expect(messages[3]?.content.map((block) => block.type)).toEqual([
      'thinking',
      'text',
      'tool_call',
      'tool_call',
      'tool_result',
      'tool_result',
      'text',
    ]);
    expect(messages[3]?.usage?.output_tokens).toBeGreaterThan(0);
    const late = await reader.stream(session_id, '?after=0');
    await late.replies(3);
    for (const stream of [...tabs, late]) {
      increasing(stream);
      checkGrammar(eventsOf(stream), { complete: true });
      expect(reduce(eventsOf(stream))).toEqual(messages);
    }
    expect(late.seen).toEqual(tabs[0]?.seen);
    [...tabs, late].forEach((stream) => stream.close());
  });

  it('loses nothing of the first reply of a session, whenever the stream is opened', async () => {
    for (let round = 0; round < 20; round++) {
      const { session_id } = await poster.demoSession();
      const saying = poster.say(session_id, '/tool calculator {"expression":"1+1"}');
      if (round % 2 === 0) await saying;
      const stream = await reader.stream(session_id);
      await saying;
      await stream.replies();
      checkGrammar(eventsOf(stream), { complete: true });
      expect(reduce(eventsOf(stream))).toEqual((await reader.messages(session_id)).messages);
      stream.close();
    }
  });

  it('resumes at every event of a reply, inside batches too, by header and by query', async () => {
    const { session_id } = await poster.demoSession();
    const whole = await reader.stream(session_id, '?after=0');
    await poster.say(session_id, SCRIPT);
    await whole.replies();
    for (const { seq } of whole.seen) {
      const rest = whole.seen.filter((it) => it.seq > seq);
      const byHeader = await reader.stream(session_id, '?after=0', { 'last-event-id': String(seq) });
      const byQuery = await reader.stream(session_id, `?after=${seq}`);
      for (const stream of [byHeader, byQuery]) {
        if (rest.length > 0) await stream.replies();
        expect(stream.seen).toEqual(rest);
        stream.close();
      }
    }
    whole.close();
  });

  it('gives the final transcript from messages and the stream after them, whenever they are read', async () => {
    const { session_id } = await poster.demoSession();
    await poster.say(session_id, 'first');
    const watch = await reader.stream(session_id, '?after=0');
    await watch.replies();
    const script = [
      '/say Working on it',
      '/tool calculator {"expression":"1+1"}',
      '/then',
      '/stream 40 5',
      '/tool calculator {"expression":"2+2"}',
      '/then',
      '/stream 20 5',
    ];
    await poster.say(session_id, script.join('\n'));
    const joins: { page: MessagesBody; stream: EventStream }[] = [];
    const finished = watch.replies(2);
    let done = false;
    void finished.then(() => (done = true));
    while (!done) {
      const page = await reader.messages(session_id);
      joins.push({ page, stream: await reader.stream(session_id, `?after=${page.as_of_seq}`) });
    }
    const end = await finished;
    const final = await reader.messages(session_id);
    expect(final.as_of_seq).toBe(end.seq);
    joins.push({ page: final, stream: await reader.stream(session_id, `?after=${final.as_of_seq}`) });
    // In the middle of the reply, at its checkpoints, and after it.
    expect(new Set(joins.map(({ page }) => page.as_of_seq)).size).toBeGreaterThan(2);
    for (const { page, stream } of joins) {
      if (page.as_of_seq < end.seq) await stream.until(({ seq }) => seq === end.seq);
      increasing(stream);
      expect(reduce(eventsOf(stream), structuredClone(page.messages))).toEqual(final.messages);
      stream.close();
    }
    watch.close();
  });

  it('starts without a cursor at the current reply, or the last one when idle', async () => {
    const { session_id } = await poster.demoSession();
    const watch = await reader.stream(session_id);
    await poster.say(session_id, 'one');
    await watch.replies(1);
    await poster.say(session_id, 'two');
    await watch.replies(2);
    const idle = await reader.stream(session_id);
    await idle.replies(1);
    expect(textOf(reduce(eventsOf(idle))[1])).toBe('You said: two');
    await poster.say(session_id, '/say begins\n/sleep 60000');
    await watch.until((it) => it.event.type === 'TEXT_BLOCK_DELTA' && it.event.delta.includes('begins'));
    const current = await reader.stream(session_id);
    await current.until((it) => it.event.type === 'TEXT_BLOCK_DELTA');
    expect(reduce(eventsOf(current))).toHaveLength(2);
    const latest = await reader.stream(session_id, '?after=latest');
    await poster.ok('POST', `/sessions/${session_id}/interrupt`);
    const end = await latest.replies();
    expect(end.event).toMatchObject({ finished_reason: 'interrupted' });
    for (const stream of [watch, idle, current, latest]) stream.close();
  });

  it('answers queued messages one after the other, in order, once each', async () => {
    const { session_id } = await poster.demoSession();
    const watch = await reader.stream(session_id, '?after=0');
    await poster.say(session_id, '/say slow\n/sleep 300', 'm0');
    const sent = await Promise.all(
      Array.from({ length: 8 }, (_, i) => i + 1).map(async (i) => poster.say(session_id, `message ${i}`, `m${i}`)),
    );
    expect(sent.map((it) => it.status)).toEqual(Array(8).fill('queued'));
    const again = await poster.say(session_id, 'message 3', 'm3');
    expect(again.run_id).toBe(sent[2]?.run_id);
    await watch.replies(9);
    const { messages } = await reader.messages(session_id);
    const users = messages.filter((message) => message.role === 'user');
    expect(users.map((message) => message.id).sort()).toEqual(['m0', ...sent.map((_, i) => `m${i + 1}`)].sort());
    for (const [index, user] of users.entries()) {
      if (index > 0) expect(textOf(messages[index * 2 + 1])).toBe(`You said: ${textOf(user)}`);
    }
    checkGrammar(eventsOf(watch), { complete: true });
    expect(reduce(eventsOf(watch))).toEqual(messages);
    watch.close();
  });

  it('stops a reply where it is and cancels what waits', async () => {
    const { session_id } = await poster.demoSession();
    const watch = await reader.stream(session_id, '?after=0');
    await poster.say(session_id, '/say partial words\n/sleep 60000');
    await poster.say(session_id, 'never seen');
    await watch.until((it) => it.event.type === 'TEXT_BLOCK_DELTA' && it.event.delta === 'words');
    const stopped = await reader.ok('POST', `/sessions/${session_id}/interrupt`);
    expect(stopped).toMatchObject({ session_id, was_running: true });
    const end = await watch.replies();
    expect(end.event).toMatchObject({ finished_reason: 'interrupted', error: null });
    const { messages } = await reader.messages(session_id);
    expect(messages.map(textOf)).toEqual(['/say partial words\n/sleep 60000', 'partial words']);
    expect(messages[1]?.finished_reason).toBe('interrupted');
    expect(await poster.ok('POST', `/sessions/${session_id}/interrupt`)).toMatchObject({
      run_id: null,
      was_running: false,
    });
    await poster.say(session_id, 'still there?');
    await watch.replies(2);
    expect(textOf((await reader.messages(session_id)).messages[3])).toBe('You said: still there?');
    watch.close();
  });

  it.each(['authentication', 'permission', 'invalid_request', 'upstream'])(
    'ends a reply visibly when the model fails in mid-stream: %s',
    async (kind) => {
      const { session_id } = await poster.demoSession();
      const watch = await reader.stream(session_id, '?after=0');
      await poster.say(session_id, `/say so far\n/fail ${kind}`);
      const end = await watch.replies();
      expect(end.event).toMatchObject({ finished_reason: 'error', error: { type: kind } });
      checkGrammar(eventsOf(watch), { complete: true });
      const { messages } = await reader.messages(session_id);
      expect(textOf(messages[1])).toBe('so far');
      expect(messages[1]?.error?.type).toBe(kind);
      watch.close();
    },
  );

  it('ends the streams of a deleted session and stops its run', async () => {
    const { session_id } = await poster.demoSession('to-delete');
    const watch = await reader.stream('to-delete', '?after=0');
    await poster.say('to-delete', '/say here\n/sleep 60000');
    await watch.until((it) => it.event.type === 'TEXT_BLOCK_DELTA');
    expect((await poster.request('DELETE', `/sessions/${session_id}`)).status).toBe(204);
    await watch.end();
    expect(watch.seen.at(-1)?.event).toMatchObject({ type: 'CUSTOM', name: 'session_deleted' });
    expect((await reader.request('GET', `/sessions/${session_id}/messages`)).status).toBe(404);
    expect((await reader.request('GET', '/sessions/to-delete/stream')).status).toBe(404);
    expect((await poster.request('POST', '/chat', { session_id, input: { content: 'x' } })).status).toBe(404);
  });

  it('refuses a run without a model before it is accepted', async () => {
    const { agent_id } = await poster.ok<{ agent_id: string }>('POST', '/agent', { name: 'no model' });
    const { session_id } = await poster.ok<{ session_id: string }>('POST', '/sessions', { agent_id });
    const answer = await poster.request('POST', '/chat', { session_id, input: { content: 'hi' } });
    expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'model_not_configured' } }]);
    expect((await poster.messages(session_id)).messages).toEqual([]);
  });
});

const eventsOf = (stream: EventStream) => stream.seen.map((it) => it.event);

const textOf = (message: Msg | undefined): string =>
  (message?.content ?? []).map((block) => (block.type === 'text' ? block.text : '')).join('');

function increasing(stream: EventStream): void {
  const seqs = stream.seen.map((it) => it.seq);
  expect(seqs).toEqual([...new Set(seqs)].sort((a, b) => a - b));
}
