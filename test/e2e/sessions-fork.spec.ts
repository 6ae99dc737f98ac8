import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { reduce } from '../../src/core/events/reducer.js';
import { Site, Talk } from '../chaos/matrix-support.js';
import type { NodeProcess } from '../chaos/node-process.js';
import { ApiClient } from '../support/client.js';
import { demoModel, faultsOf, NOWHERE, refusal } from '../support/crud.js';

interface Forked {
  session_id: string;
  external_id: string | null;
}
interface View {
  session: { config: Record<string, unknown>; forked_from: { session_id: string; message_id: string } | null };
  status: string;
}

describe.each([
  ['the bus of one process', true],
  ['Redis', false],
])('a fork, over %s', (_name, alone) => {
  let site: Site;
  let node: NodeProcess;
  let client: ApiClient;

  beforeAll(async () => {
    site = await Site.open({}, { alone });
    node = await site.node();
    client = new ApiClient(node.url);
  }, 30_000);
  afterAll(() => site.close());

  const fork = (id: string, body: object = {}) =>
    client.ok<Forked>('POST', `/sessions/${encodeURIComponent(id)}/fork`, body);

  /** A session in which two things were said and answered. */
  async function talked(name?: string) {
    const { session_id, ...made } = await client.demoSession(name);
    for (const content of ['one', 'two']) {
      await client.request('POST', '/chat?wait=true', { session_id, input: { content } });
    }
    return { session_id, ...made, ...(await client.messages(session_id)) };
  }

  it('answers what is said to it, and the session hears nothing of that', async () => {
    const { session_id, messages } = await talked();
    await client.ok('PATCH', `/sessions/${session_id}`, {
      name: 'talk',
      metadata: { env: 'prod' },
      permission_mode: 'bypass',
    });
    const copy = await fork(session_id);
    expect(copy).toEqual({ session_id: expect.any(String), external_id: null });
    const { session, status } = await client.ok<View>('GET', `/sessions/${copy.session_id}`);
    expect(session).toMatchObject({
      config: { name: 'talk (fork)', metadata: { env: 'prod' }, permission_mode: 'bypass' },
      forked_from: { session_id, message_id: messages.at(-1)?.id },
    });
    expect(status).toBe('idle');
    expect(await client.messages(copy.session_id)).toMatchObject({ messages });
    await client.request('POST', '/chat?wait=true', { session_id: copy.session_id, input: { content: 'three' } });
    const grown = await client.messages(copy.session_id);
    expect(grown.messages.slice(0, 4)).toEqual(messages);
    expect(grown.messages.slice(4).map(({ role, finished_reason }) => [role, finished_reason])).toEqual([
      ['user', null],
      ['assistant', 'completed'],
    ]);
    expect(await client.messages(session_id)).toMatchObject({ messages });
  });

  it('has a stream that begins with what is new, or says that the rest has to be read', async () => {
    const { session_id, messages, as_of_seq } = await talked();
    const { session_id: copy } = await fork(session_id, { message_id: messages[1]?.id });
    const page = await client.messages(copy);
    expect(page).toMatchObject({ messages: messages.slice(0, 2), as_of_seq });
    const plain = await client.stream(copy);
    const all = await client.stream(copy, '?after=0');
    const exact = await client.stream(copy, `?after=${as_of_seq}`);
    const gap = await all.until(() => true);
    expect(gap).toMatchObject({
      seq: as_of_seq,
      event: { type: 'CUSTOM', name: 'gap', value: { up_to_seq: as_of_seq } },
    });
    await client.say(copy, 'three');
    for (const stream of [plain, all, exact]) await stream.replies();
    const events = exact.seen.map(({ event }) => event);
    expect(plain.seen).toEqual(exact.seen);
    expect(all.seen.slice(1)).toEqual(exact.seen);
    expect(exact.seen.every(({ seq }) => seq > as_of_seq)).toBe(true);
    expect(reduce(events, page.messages)).toEqual((await client.messages(copy)).messages);
    for (const stream of [plain, all, exact]) stream.close();
    // Later, too, a stream without a cursor begins with the last reply.
    const later = await client.stream(copy);
    await later.replies();
    expect(later.seen).toEqual(exact.seen);
    later.close();
  });

  it('of a parked session is at rest, while the session goes on waiting', async () => {
    const talk = await Talk.open(node);
    const parked = await talk.park(2);
    const { session_id: copy } = await fork(talk.session_id);
    const { messages } = await client.messages(copy);
    expect(messages.at(-1)).toMatchObject({ id: parked.reply_id, finished_reason: 'interrupted', error: null });
    const results = messages.flatMap(({ content }) => content).filter((block) => block.type === 'tool_result');
    expect(results.map(({ state }) => state)).toEqual(['interrupted', 'interrupted']);
    expect(await client.ok<View>('GET', `/sessions/${copy}`)).toMatchObject({ status: 'idle' });
    const ids = parked.open_calls.map((call) => call.tool_call_id);
    const other = new Talk(client, copy, talk.follower);
    expect(refusal(await other.answer(parked, ids))).toEqual([409, 'not_awaited']);
    expect((await other.say('and you?')).status).toBe('started');
    await client.request('POST', '/chat?wait=true', { session_id: copy, input: { content: 'still there?' } });
    expect((await other.transcript()).slice(-3)).toEqual([
      'completed You said: and you?',
      'user still there?',
      'completed You said: still there?',
    ]);
    expect(await talk.run(parked.id)).toMatchObject({ status: 'waiting' });
    expect((await talk.answer(parked, ids)).status).toBe(200);
    expect(await talk.ended(parked.id)).toMatchObject({ status: 'completed' });
    await talk.follower.close();
  });

  it('of a session at work has what is on record, closed', async () => {
    const { session_id } = await client.demoSession();
    const stream = await client.stream(session_id);
    await client.say(session_id, '/tool calculator {"expression":"6*7"}\n/then\n/say after\n/sleep 60000');
    await stream.until(({ event }) => event.type === 'TEXT_BLOCK_DELTA' && event.delta === 'after');
    const source = await client.messages(session_id);
    const { session_id: copy } = await fork(session_id);
    const { messages, is_running } = await client.messages(copy);
    expect([is_running, source.is_running]).toEqual([false, true]);
    expect(messages.map(({ id }) => id)).toEqual(source.messages.map(({ id }) => id));
    expect(messages.at(-1)).toMatchObject({
      finished_reason: 'interrupted',
      finished_at: expect.any(String),
      content: source.messages.at(-1)?.content,
    });
    expect(source.messages.at(-1)).toMatchObject({
      finished_at: null,
      content: [{ type: 'tool_call' }, { state: 'success' }],
    });
    await client.ok('POST', `/sessions/${session_id}/interrupt`);
    await stream.replies();
    stream.close();
  });

  it('may be named, needs no body, and outlives the session', async () => {
    const { session_id, messages } = await talked(`source ${alone}`);
    const name = `copy ${alone}`;
    const copy = await fork(`source ${alone}`, { session_id: name, name: 'shown' });
    expect(copy.external_id).toBe(name);
    expect(await client.ok<View>('GET', `/sessions/${encodeURIComponent(name)}`)).toMatchObject({
      session: { id: copy.session_id, config: { name: 'shown' } },
    });
    expect(refusal(await client.request('POST', `/sessions/${session_id}/fork`, { session_id: name }))).toEqual([
      409,
      'session_exists',
    ]);
    expect((await client.request('POST', `/sessions/${session_id}/fork`)).status).toBe(201);
    await client.ok('DELETE', `/sessions/${session_id}`);
    expect((await client.messages(copy.session_id)).messages).toEqual(messages);
  });

  it('is refused for what is not there', async () => {
    const { session_id, credential_id } = await talked();
    const path = `/sessions/${session_id}/fork`;
    expect(faultsOf(await client.request('POST', path, { message_id: 'nobody' }))).toEqual(['message_id']);
    expect(faultsOf(await client.request('POST', path, { session_id: 'a/b', name: '' })).sort()).toEqual([
      'name',
      'session_id',
    ]);
    expect(refusal(await client.request('POST', `${path}?agent_id=${NOWHERE}`, {}))).toEqual([
      404,
      'session_not_found',
    ]);
    expect(refusal(await new ApiClient(node.url, 'mallory').request('POST', path, {}))).toEqual([
      404,
      'session_not_found',
    ]);
    const model = await demoModel(client);
    await client.ok('PATCH', `/sessions/${session_id}`, { chat_model_config: model });
    await client.ok('DELETE', `/credential/${model.credential_id}?force=true`);
    expect(refusal(await client.request('POST', path, {}))).toEqual([404, 'credential_not_found']);
    expect(model.credential_id).not.toBe(credential_id);
  });
});
