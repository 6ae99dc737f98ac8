import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { NestFastifyApplication } from '@nestjs/platform-fastify';
import { Principal } from '../../src/auth/principal.js';
import { createApp } from '../../src/bootstrap.js';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import type { ContentBlock } from '../../src/core/messages/block.js';
import { loadConfig } from '../../src/platform/config/config.js';
import { newId } from '../../src/platform/ids.js';
import { SessionInbox } from '../../src/runs/session-inbox.service.js';
import { ApiClient, EventStream } from '../support/client.js';
import { eventually } from '../support/eventually.js';
import { databaseEnv } from '../support/rig.js';

/** A host application that tells agents things through the inbox of their sessions. */
let database: Awaited<ReturnType<typeof databaseEnv>>;
let app: NestFastifyApplication;
let inbox: SessionInbox;
let client: ApiClient;
let session_id: string;
let stream: EventStream;

const alice = new Principal('default', 'alice');
const source = { label: 'schedule', sublabel: 'nightly' };

beforeAll(async () => {
  database = await databaseEnv();
  app = await createApp({ config: loadConfig({ ...database.env, LOG_LEVEL: 'silent', PORT: '0' }) });
  await app.listen({ host: '127.0.0.1', port: 0 });
  inbox = app.get(SessionInbox);
}, 60_000);
afterAll(async () => {
  await app.close();
  await database.drop();
});

beforeEach(async () => {
  client = new ApiClient(await app.getUrl(), 'alice');
  ({ session_id } = await client.demoSession(undefined, {
    permission_rules: [{ tool_name: 'calculator', rule_content: null, behavior: 'ask' }],
  }));
  stream = await client.stream(session_id);
});
afterEach(() => stream.close());

const tell = (hint: string, id?: string) => inbox.deliver(alice, session_id, { hint, source, ...(id && { id }) });

const isHint =
  (text: string) =>
  ({ event }: { event: AgentEvent }): boolean =>
    event.type === 'HINT_BLOCK' && event.hint === text;

const blocks = async (): Promise<ContentBlock[]> =>
  (await client.messages(session_id)).messages.flatMap(({ content }) => content);

const hints = async (): Promise<unknown[]> =>
  (await blocks()).flatMap((block) => (block.type === 'hint' ? [block.hint] : []));

const waiting = () => database.sql(`SELECT hints FROM session_leases WHERE session_id = '${session_id}'`);

describe('a hint', () => {
  it('wakes an idle session, which answers it in a reply of its own', async () => {
    await client.say(session_id, 'hello');
    await stream.replies();
    await tell('The night has come.');
    const { event } = await stream.replies(2);
    expect(event).toMatchObject({ finished_reason: 'completed' });
    expect(await hints()).toEqual(['The night has come.']);
    const hint = (await blocks()).find((block) => block.type === 'hint');
    expect(hint).toMatchObject({ source: JSON.stringify(source) });
    expect(await waiting()).toEqual([{ hints: 0 }]);
    const { runs } = await client.ok<{ runs: { status: string }[] }>('GET', `/sessions/${session_id}/runs`);
    expect(runs.map(({ status }) => status)).toEqual(['completed', 'completed']);
  });

  it('is heard between the steps of a reply at work', async () => {
    const { run_id } = await client.say(session_id, '/say one\n/sleep 400\n/tool current_time {}\n/then\n/say two');
    await stream.until(({ event }) => event.type === 'TEXT_BLOCK_DELTA' && event.delta === 'one');
    await tell('By the way.');
    await stream.until(({ event }) => event.type === 'REPLY_END' && event.run_id === run_id);
    expect((await blocks()).map(({ type }) => type)).toEqual([
      'text',
      'text',
      'tool_call',
      'tool_result',
      'hint',
      'text',
    ]);
    expect(await waiting()).toEqual([{ hints: 0 }]);
  });

  it('waits while the session is parked, and is heard when it goes on', async () => {
    await client.say(session_id, '/tool calculator {"expression":"1+1"}\n/then\n/say done');
    const { event } = await stream.until((seen) => seen.event.type === 'REQUIRE_USER_CONFIRM');
    if (event.type !== 'REQUIRE_USER_CONFIRM') throw new Error('nothing was asked');
    await tell('While you wait.');
    expect(await waiting()).toEqual([{ hints: 1 }]);
    const call = event.tool_calls[0];
    await client.ok('POST', '/chat', {
      session_id,
      input: {
        type: 'USER_CONFIRM_RESULT',
        reply_id: event.reply_id,
        confirm_results: [{ confirmed: true, tool_call: call, rules: null }],
      },
    });
    await stream.replies();
    expect((await blocks()).map(({ type }) => type)).toEqual(['text', 'tool_call', 'tool_result', 'hint', 'text']);
    expect(await waiting()).toEqual([{ hints: 0 }]);
  });

  it('is said once although it is delivered twice, and many come in their order', async () => {
    await client.say(session_id, '/say busy\n/sleep 300\n/tool current_time {}\n/then\n/say done');
    await stream.until(({ event }) => event.type === 'TEXT_BLOCK_DELTA');
    const id = newId();
    await tell('first', id);
    await tell('first', id);
    for (const text of ['second', 'third']) await tell(text);
    await stream.until(isHint('third'));
    await stream.replies();
    expect(await hints()).toEqual(['first', 'second', 'third']);
  });

  it('comes in time for a reply that ends just now: in it, or in one of its own', async () => {
    for (let n = 1; n <= 10; n++) {
      const { run_id } = await client.say(session_id, `/stream ${n}`);
      await Promise.all([
        stream.until(({ event }) => event.type === 'REPLY_END' && event.run_id === run_id),
        tell(`hint ${n}`),
      ]);
    }
    await stream.until(isHint('hint 10'));
    const all = Array.from({ length: 10 }, (_, i) => `hint ${i + 1}`);
    await eventually(async () => ((await hints()).length === all.length ? true : undefined));
    expect(await hints()).toEqual(all);
    await eventually(async () => {
      const { status } = await client.ok<{ status: string }>('GET', `/sessions/${session_id}/status`);
      return status === 'idle' ? true : undefined;
    });
  });

  it('for a foreign session is for nobody', async () => {
    const mallory = new Principal('default', 'mallory');
    await expect(inbox.deliver(mallory, session_id, { hint: 'x', source })).rejects.toMatchObject({
      code: 'session_not_found',
    });
  });
});

it('for a session that cannot answer is said in one reply that fails', async () => {
  const { agent_id } = await client.ok<{ agent_id: string }>('POST', '/agent', { name: 'bare' });
  const bare = await client.ok<{ session_id: string }>('POST', '/sessions', { agent_id });
  await inbox.deliver(alice, bare.session_id, { hint: 'Anybody?', source });
  const runs = async () =>
    (await client.ok<{ runs: { status: string }[] }>('GET', `/sessions/${bare.session_id}/runs`)).runs.map(
      (it) => it.status,
    );
  // A hint that waits on would keep the session from being idle, and wake it again.
  await eventually(async () => {
    const { status } = await client.ok<{ status: string }>('GET', `/sessions/${bare.session_id}/status`);
    return (await runs())[0] === 'failed' && status === 'idle' ? true : undefined;
  });
  expect(await runs()).toEqual(['failed']);
  const [lease] = await database.sql(`SELECT hints FROM session_leases WHERE session_id = '${bare.session_id}'`);
  expect(lease).toEqual({ hints: 0 });
  const { messages } = await client.messages(bare.session_id);
  expect(messages.flatMap(({ content }) => content)).toMatchObject([{ type: 'hint', hint: 'Anybody?' }]);
});
