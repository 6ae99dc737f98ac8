import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { LLMock } from '@copilotkit/aimock';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import type { Msg } from '../../src/core/messages/message.js';
import { type ApiClient, EventStream, UNASKED } from '../support/client.js';
import { type Rig, startRig } from '../support/rig.js';
import { AGENT_HOST } from '../support/service.js';

/** The demo model has a window of 128,000 tokens: here only 16,640 of them count, and next to nothing is kept. */
const SMALL = { trigger_ratio: 0.13, reserve_ratio: 0.001 };

/** About 8,000 tokens: what is said twice is too long, and worth a compression. */
const LONG = 'A quick brown fox jumps over the lazy dog. '.repeat(800);

let rig: Rig;
let client: ApiClient;
let session_id: string;
let stream: EventStream | undefined;

beforeAll(async () => {
  rig = await startRig({}, AGENT_HOST);
  client = rig.client('alice');
}, 60_000);
afterAll(() => rig.stop());
afterEach(() => stream?.close());

async function open(context_config: Record<string, number>): Promise<void> {
  const { agent_id, ...made } = await client.demoSession(undefined, UNASKED);
  ({ session_id } = made);
  await client.ok('PATCH', `/agent/${agent_id}`, { context_config });
  stream = await client.stream(session_id);
}

async function reply(content: unknown, id = session_id): Promise<Msg> {
  const body = { session_id: id, input: { content } };
  return (await client.ok<{ message: Msg }>('POST', '/chat?wait=true', body)).message;
}

const wordsOf = ({ content }: Msg): string =>
  content.map((block) => (block.type === 'text' ? block.text : '')).join('');

const resultsOf = ({ content }: Msg): string[] =>
  content.flatMap((block) =>
    block.type === 'tool_result' ? [block.output.map((it) => (it.type === 'text' ? it.text : it.type)).join('')] : [],
  );

const seen = (): AgentEvent[] => stream?.seen.map(({ event }) => event) ?? [];

const compressions = (): Record<string, unknown>[] =>
  seen().flatMap((event) => (event.type === 'CUSTOM' && event.name === 'context_compressed' ? [event.value] : []));

const hintsOf = ({ content }: Msg): unknown[] =>
  content.flatMap((block) => (block.type === 'hint' ? [block.hint] : []));

/** So many turns more, put on record as if they had been said elsewhere: this node does not know of them. */
async function talkedOn(turns: number): Promise<void> {
  const [last] = await rig.sql(
    `SELECT run_id, data FROM messages WHERE session_id = '${session_id}' AND role = 'assistant' LIMIT 1`,
  );
  const head = JSON.stringify((last?.['data'] as { head: object }).head);
  const at = '2026-11-21T10:00:00.000Z';
  const block = JSON.stringify({ type: 'text', created_at: at, finished_at: at });
  await rig.sql(
    `INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data)
     SELECT 'default', '${session_id}', 'm' || n, 0, '${String(last?.['run_id'])}', r.role, 1000 + n, jsonb_build_object(
       'head', '${head}'::jsonb || jsonb_build_object('id', 'm' || n, 'role', r.role),
       'content', jsonb_build_array('${block}'::jsonb || jsonb_build_object('id', 'b' || n, 'text', 'said ' || n || '.')))
     FROM generate_series(1, ${2 * turns}) n, LATERAL (SELECT CASE WHEN n % 2 = 0 THEN 'assistant' ELSE 'user' END AS role) r`,
  );
  await rig.sql(
    `UPDATE session_leases SET last_seq = ${1000 + 2 * turns}, lease_token = lease_token + 1 WHERE session_id = '${session_id}'`,
  );
}

const stateOf = async (): Promise<{ window_context: Record<string, unknown> }> => {
  const [row] = await rig.sql(`SELECT state FROM sessions WHERE id = '${session_id}'`);
  return row?.['state'] as { window_context: Record<string, unknown> };
};

describe('a conversation that outgrows its window', () => {
  it('is compressed, is told of it, goes on, and keeps its transcript', async () => {
    await open(SMALL);
    expect(wordsOf(await reply(LONG))).toContain('quick brown fox');
    const before = (await client.messages(session_id)).messages;
    expect(wordsOf(await reply('/say short again'))).toBe('short again');
    await stream?.replies(2);
    const [value = {}, ...more] = compressions();
    expect(more).toEqual([]);
    expect(Number(value['tokens_after'])).toBeLessThan(Number(value['tokens_before']));
    expect(value).toMatchObject({ reply_id: expect.any(String), from: { message_id: expect.any(String), block: 0 } });
    const starts = seen().filter(({ type }) => type === 'MODEL_CALL_START');
    const purposes = starts.map((event) => event.type === 'MODEL_CALL_START' && event.metadata?.['purpose']);
    expect(purposes).toEqual([undefined, 'compression', undefined]);
    expect((await client.messages(session_id)).messages.slice(0, before.length)).toEqual(before);
    expect(await rig.sql(`SELECT 1 FROM model_calls WHERE session_id = '${session_id}'`)).toHaveLength(3);
    const { window_context } = await stateOf();
    expect(window_context).toMatchObject({ compressions: 1, offloads: 1, from: value['from'] });
    expect(window_context['summary']).toContain('context/1.jsonl');

    const read = await reply('/tool read_offloaded {"path":"context/1.jsonl","limit":200}');
    expect(resultsOf(read)[0]).toContain('"role":"user"');
  });

  it('is compressed in the middle of a reply, between two of its turns', async () => {
    await open({ ...SMALL, tool_result_limit: 100_000 });
    const message = await reply(
      `/tool write_note ${JSON.stringify({ text: LONG })}\n/then\n/tool calculator {"expression":"6*7"}\n/then\n/say done`,
    );
    expect(message.finished_reason).toBe('completed');
    expect(resultsOf(message)[0]).toContain('lazy dog');
    await stream?.replies();
    expect(compressions()).toHaveLength(1);
    expect((await stateOf()).window_context['from']).toMatchObject({ message_id: message.id });
    expect(wordsOf(await reply('/say next'))).toBe('next');
  });

  it('loses nothing that was told meanwhile: a hint is heard in a turn that compresses first', async () => {
    await open(SMALL);
    await reply(LONG);
    const message = await reply('/say heard');
    expect(hintsOf(message)).toHaveLength(1);
    const { messages } = await client.messages(session_id);
    expect(messages.at(-1)?.content.map(({ type }) => type)).toEqual(message.content.map(({ type }) => type));
  });
});

describe('a tool result beyond its limit', () => {
  it('is cut, and its rest read with a tool that is only then offered', async () => {
    await open({ tool_result_limit: 100 });
    const refused = await reply('/tool read_offloaded {"path":"x"}');
    expect(resultsOf(refused)[0]).toContain('nothing at');
    const cut = await reply(`/tool write_note ${JSON.stringify({ text: `${LONG}THE END` })}`);
    const [text = ''] = resultsOf(cut);
    expect(text.length).toBeLessThan(1500);
    expect(text).toContain('<<<TRUNCATED>>>');
    const [, path = ''] = /It is at (\S+): read it/.exec(text) ?? [];
    expect(path).toMatch(/^tool_results\//);
    expect((await stateOf()).window_context['offloads']).toBe(1);
    const offset = Number(/, (\d+) characters/.exec(text)?.[1]) - 20;
    const read = await reply(`/tool read_offloaded ${JSON.stringify({ path, offset, limit: 50 })}`);
    expect(resultsOf(read)[0]).toContain('THE END');
  });
});

describe('what the model is told of its surroundings', () => {
  it('is nothing in a short conversation', async () => {
    await open({});
    for (const text of ['one', '/tool calculator {"expression":"1+1"}', 'three']) {
      expect(hintsOf(await reply(text))).toEqual([]);
    }
  });

  it('is the time once what it knows of it is old, and only once', async () => {
    await open({});
    await reply('one');
    await rig.sql(
      `UPDATE messages SET data = jsonb_set(data, '{head,created_at}', '"2026-01-01T00:00:00.000Z"') WHERE session_id = '${session_id}'`,
    );
    // Another conversation of the node's memory does not know of it: this one is read anew.
    const forked = await client.ok<{ session_id: string }>('POST', `/sessions/${session_id}/fork`, {});
    const [hint] = hintsOf(await reply('two', forked.session_id));
    expect(hint).toContain('<current-time>');
    expect(hintsOf(await reply('three', forked.session_id))).toEqual([]);
  });

  it('is its plan when that was compressed away', async () => {
    await open(SMALL);
    await reply('/tool TaskCreate {"subject":"Water the plants","description":"All of them"}');
    expect(hintsOf(await reply(LONG))).toEqual([]);
    expect(hintsOf(await reply('/say well')).join()).toContain('Water the plants');
    expect(compressions()).toHaveLength(1);
  });
});

describe('what a provider is sent', () => {
  const mock = new LLMock({ port: 0 });

  beforeAll(async () => {
    mock.on({ userMessage: /^forbidden$/ }, { error: { message: 'no' }, status: 403 });
    mock.on({ userMessage: 'again', sequenceIndex: 0 }, { error: { message: 'roles must alternate' }, status: 400 });
    const overflow = {
      message: "This model's maximum context length is 8192 tokens.",
      code: 'context_length_exceeded',
    };
    mock.on({ userMessage: 'too much', sequenceIndex: 0 }, { error: overflow, status: 400 });
    mock.onMessage(/./, { content: 'pong' });
    await mock.start();
  });
  afterAll(() => mock.stop());

  interface Sent {
    readonly role: string;
    readonly content: unknown;
  }
  const offered = (): string[][] =>
    mock
      .getRequests()
      .map(({ body }) =>
        (body as unknown as { tools: { function: { name: string } }[] }).tools.map((it) => it.function.name),
      );
  const sent = (): Sent[][] => mock.getRequests().map(({ body }) => (body as unknown as { messages: Sent[] }).messages);

  async function openSession(context_config: Record<string, number> = {}): Promise<void> {
    mock.clearRequests();
    const data = { type: 'openai_credential', api_key: 'sk-test', base_url: `${mock.url}/v1` };
    const { credential_id } = await client.ok<{ credential_id: string }>('POST', '/credential', { data });
    const { agent_id } = await client.ok<{ agent_id: string }>('POST', '/agent', {
      name: 'a',
      context_config,
      chat_model_config: { type: 'openai_credential', credential_id, model: 'gpt-4o' },
    });
    ({ session_id } = await client.ok<{ session_id: string }>('POST', '/sessions', { agent_id }));
  }

  it('is a history that was mended, after it rejected the first', async () => {
    await openSession();
    await reply('forbidden');
    expect(wordsOf(await reply('again'))).toBe('pong');
    const [, rejected, mended] = sent();
    expect(rejected?.length).toBeGreaterThanOrEqual(mended?.length ?? Infinity);
    expect(mended?.filter(({ role }) => role === 'user')).toHaveLength(1);
    const calls = await rig.sql(
      `SELECT outcome, error_type FROM model_calls WHERE session_id = '${session_id}' ORDER BY id`,
    );
    expect(calls.slice(1)).toEqual([
      { outcome: 'failed', error_type: 'invalid_request' },
      { outcome: 'completed', error_type: null },
    ]);
  });

  it('is compressed when it turns out to be more than the model takes', async () => {
    await openSession();
    await reply(LONG);
    expect(wordsOf(await reply('too much'))).toBe('pong');
    const sizes = sent().map((messages) => JSON.stringify(messages).length);
    expect(sizes).toHaveLength(4);
    expect(sizes[3]).toBeLessThan((sizes[1] ?? 0) / 2);
    expect((await stateOf()).window_context).toMatchObject({ compressions: 1 });
    expect(wordsOf(await reply('go on'))).toBe('pong');
  });

  it('begins each time with what it was sent before', async () => {
    await openSession();
    for (const text of ['one', 'two', 'three']) await reply(text);
    const [first = [], second = [], third = []] = sent();
    expect(second.slice(0, first.length)).toEqual(first);
    expect(third.slice(0, second.length)).toEqual(second);
  });

  it('are the newest images, and words for the others', async () => {
    await openSession({ max_image_num: 2 });
    const image = (n: number) => ({
      type: 'data',
      source: { type: 'base64', media_type: 'image/png', data: Buffer.from(`image ${n}`).toString('base64') },
    });
    for (let n = 1; n <= 4; n += 1) await reply([{ type: 'text', text: 'look' }, image(n)]);
    const images = (messages: Sent[] = []) => JSON.stringify(messages).match(/data:image\/png;base64,[\w=]+/g) ?? [];
    expect(sent().map((messages) => images(messages).length)).toEqual([1, 2, 2, 2]);
    expect(offered().map((names) => names.includes('read_offloaded'))).toEqual([false, false, true, true]);
    expect(images(sent().at(-1)).at(-1)).toContain(Buffer.from('image 4').toString('base64'));
    expect(JSON.stringify(sent().at(-1))).toMatch(/data\/[0-9a-f]{64}\.png/);
    const kept = (await client.messages(session_id)).messages.flatMap(({ content }) => content);
    expect(kept.filter(({ type }) => type === 'data')).toHaveLength(4);
  });

  it('is bounded, however long the session is', async () => {
    await openSession();
    await reply('one');
    await talkedOn(2000);
    expect(wordsOf(await reply('two'))).toBe('pong');
    const first = sent().at(-1)?.length ?? 0;
    expect(first).toBeGreaterThan(300);
    expect(first).toBeLessThanOrEqual(401);
    await reply('three');
    const second = sent().at(-1) ?? [];
    expect(second.length).toBeLessThanOrEqual(401);
    await reply('four');
    expect(sent().at(-1)?.slice(0, second.length)).toEqual(second);
  });

  it('is what lies behind the summary, when there is one', async () => {
    await openSession();
    await reply('one');
    await talkedOn(2000);
    const window_context = {
      summary: 'Much was said.',
      from: { message_id: 'm3991', block: 0 },
      compressions: 1,
      offloads: 0,
    };
    await rig.sql(`UPDATE sessions SET state = '${JSON.stringify({ window_context })}' WHERE id = '${session_id}'`);
    expect(wordsOf(await reply('two'))).toBe('pong');
    const messages = sent().at(-1) ?? [];
    expect(JSON.stringify(messages)).toContain('Much was said.');
    expect(JSON.stringify(messages)).toContain('said 3991.');
    expect(JSON.stringify(messages)).not.toContain('said 3990.');
    // Instructions, the summary, ten messages and the new one.
    expect(messages.length).toBeLessThanOrEqual(13);
  });
});
