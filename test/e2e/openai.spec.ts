import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { LLMock } from '@copilotkit/aimock';
import type { AgentEvent } from '../../src/core/events/agent-event.js';
import { checkGrammar } from '../../src/core/events/grammar.js';
import type { UsageReport } from '../../src/usage/usage.schema.js';
import { ApiClient, type MessagesBody } from '../support/client.js';
import { freePort } from '../support/redis.js';
import { type Service, startService } from '../support/service.js';

/** The whole path of a turn with a real provider package against an OpenAI-shaped server. */
describe('an agent on an OpenAI-compatible server', () => {
  const mock = new LLMock({ port: 0, chunkSize: 4 });
  const usage = { prompt_tokens: 20, completion_tokens: 6, total_tokens: 26 };
  let service: Service;
  let client: ApiClient;

  beforeAll(async () => {
    const error = (status: number) => ({ error: { message: 'what the provider said' }, status });
    mock.onMessage('hello', { content: 'Hello from the mock.', usage });
    mock.on(
      { userMessage: 'compute', hasToolResult: false },
      { toolCalls: [{ id: 'call_1', name: 'calculator', arguments: { expression: '6*7' } }], usage },
    );
    mock.onToolResult('call_1', { content: 'It is 42.', usage });
    mock.onMessage('bad key', error(401));
    mock.onMessage('forbidden', error(403));
    mock.onMessage('nonsense', error(400));
    mock.onMessage('broken', error(500));
    mock.on({ userMessage: 'busy', sequenceIndex: 0 }, { ...error(429), retryAfter: 1 });
    mock.on({ userMessage: 'busy', sequenceIndex: 1 }, { content: 'Now I have time.' });
    mock.onMessage('occupied', { ...error(429), retryAfter: 1 });
    mock.onMessage(
      'cut off',
      { content: 'This sentence is never finished by the server.' },
      { truncateAfterChunks: 4 },
    );
    await mock.start();
    service = await startService({ env: { AERIE_MODEL_MAX_RETRIES: '1' } });
    client = new ApiClient(service.url);
  }, 60_000);
  afterAll(async () => {
    await service.stop();
    await mock.stop();
  });

  async function session(base_url = `${mock.url}/v1`, fallback = false): Promise<string> {
    const credential = async (url: string) =>
      (
        await client.ok<{ credential_id: string }>('POST', '/credential', {
          data: { type: 'openai_credential', api_key: 'sk-test', base_url: url },
        })
      ).credential_id;
    const config = (credential_id: string, model = 'some-model') => ({
      type: 'openai_credential',
      credential_id,
      model,
    });
    const { agent_id } = await client.ok<{ agent_id: string }>('POST', '/agent', {
      name: 'a',
      system_prompt: 'Be brief.',
    });
    const { session_id } = await client.ok<{ session_id: string }>('POST', '/sessions', {
      agent_id,
      chat_model_config: config(await credential(base_url)),
      ...(fallback ? { fallback_chat_model_config: config(await credential(`${mock.url}/v1`), 'gpt-4o-mini') } : {}),
    });
    return session_id;
  }

  async function turn(
    session_id: string,
    text: string,
  ): Promise<{ events: AgentEvent[]; page: MessagesBody; end: AgentEvent }> {
    const stream = await client.stream(session_id, '?after=latest');
    await client.say(session_id, text);
    const { event: end } = await stream.replies();
    stream.close();
    const events = stream.seen.map((it) => it.event);
    checkGrammar(events, { complete: true });
    return { events, end, page: await client.messages(session_id) };
  }

  const said = (page: MessagesBody) =>
    page.messages
      .at(-1)
      ?.content.map((block) => (block.type === 'text' ? block.text : ''))
      .join('');

  it('streams text, reports usage and remembers the conversation', async () => {
    const id = await session();
    const { events, page } = await turn(id, 'hello');
    expect(events.filter((it) => it.type === 'TEXT_BLOCK_DELTA').length).toBeGreaterThan(2);
    expect(said(page)).toBe('Hello from the mock.');
    expect(page.messages.at(-1)?.usage).toMatchObject({ input_tokens: 20, output_tokens: 6 });
    await turn(id, 'hello again');
    expect(mock.getLastRequest()?.body).toMatchObject({
      messages: [
        { role: 'system', content: 'Be brief.' },
        { role: 'user', content: 'hello' },
        { role: 'assistant', content: 'Hello from the mock.' },
        { role: 'user', content: 'hello again' },
      ],
    });
  });

  it('calls a tool and goes on with its result', async () => {
    const { events, page } = await turn(await session(), 'compute');
    expect(events.map((it) => it.type)).toContain('TOOL_RESULT_END');
    expect(said(page)).toBe('It is 42.');
    expect(page.messages.at(-1)?.content.find((block) => block.type === 'tool_result')).toMatchObject({
      id: 'call_1',
      state: 'success',
      output: [{ type: 'text', text: '42' }],
    });
    expect(page.messages.at(-1)?.usage).toMatchObject({ input_tokens: 40, output_tokens: 12 });
  });

  it.each([
    ['bad key', 'authentication'],
    ['forbidden', 'permission'],
    ['nonsense', 'invalid_request'],
    ['broken', 'upstream'],
    ['occupied', 'rate_limit'],
    ['cut off', 'connection'],
  ])('ends visibly when the server says: %s', async (text, type) => {
    const { end, page } = await turn(await session(), text);
    expect(end).toMatchObject({ finished_reason: 'error', error: { type } });
    expect(JSON.stringify(page)).not.toContain('what the provider said');
  });

  it('ends visibly when nothing listens', async () => {
    const { end } = await turn(await session(`http://127.0.0.1:${await freePort()}/v1`), 'hello');
    expect(end).toMatchObject({ finished_reason: 'error', error: { type: 'connection' } });
  });

  it('waits as long as a 429 asks for, then succeeds', async () => {
    const began = performance.now();
    const { page } = await turn(await session(), 'busy');
    expect(said(page)).toBe('Now I have time.');
    expect(performance.now() - began).toBeGreaterThan(900);
  });

  it('falls back to the second model when the first does not answer, and charges the call to that', async () => {
    const id = await session(`http://127.0.0.1:${await freePort()}/v1`, true);
    const { page, events } = await turn(id, 'hello');
    expect(said(page)).toBe('Hello from the mock.');
    const attempts = events.flatMap((event) =>
      event.type === 'MODEL_CALL_END'
        ? [[event.model_name, event.attempt, event.is_fallback, event.error_type ?? event.finished_reason]]
        : [],
    );
    expect(attempts).toEqual([
      ['some-model', 1, false, 'connection'],
      ['some-model', 2, false, 'connection'],
      ['gpt-4o-mini', 1, true, 'completed'],
    ]);
    // The defaults of the card go with the call.
    expect(mock.getLastRequest()?.body).toMatchObject({ model: 'gpt-4o-mini', parallel_tool_calls: true });
    const report = await client.ok<UsageReport>('GET', `/usage?session_id=${id}&group_by=model`);
    expect(report.usage).toEqual([
      expect.objectContaining({
        model: 'gpt-4o-mini',
        calls: 1,
        unpriced_calls: 0,
        input_tokens: 20,
        output_tokens: 6,
        // 20 tokens of 0.15 and 6 of 0.60 dollars the million.
        costs: [{ currency: 'USD', amount: '0.0000066' }],
      }),
      expect.objectContaining({ model: 'some-model', calls: 2, failed_calls: 2, unpriced_calls: 2, costs: [] }),
    ]);
  });

  it('stops calling a server that fails, until the credential is changed', async () => {
    mock.onMessage('down', { error: { message: 'x' }, status: 500 });
    const id = await session();
    const before = mock.getRequests().length;
    for (let n = 0; n < 5; n += 1) {
      expect((await turn(id, 'down')).end).toMatchObject({ finished_reason: 'error', error: { type: 'upstream' } });
    }
    expect(mock.getRequests().length - before).toBe(5);
    type View = { session: { config: { chat_model_config: { credential_id: string } } } };
    const { credential_id } = (await client.ok<View>('GET', `/sessions/${id}`)).session.config.chat_model_config;
    await client.ok('PATCH', `/credential/${credential_id}`, { data: { api_key: 'sk-next' } });
    expect(said((await turn(id, 'hello')).page)).toBe('Hello from the mock.');
  });

  it('closes the connection to the provider when the run is stopped', async () => {
    const id = await session();
    const stream = await client.stream(id, '?after=latest');
    mock.onMessage('slow', { content: 'word '.repeat(200) }, { latency: 50 });
    await client.say(id, 'slow');
    await stream.until(({ event }) => event.type === 'TEXT_BLOCK_DELTA');
    await client.ok('POST', `/sessions/${id}/interrupt`);
    expect((await stream.replies()).event).toMatchObject({ finished_reason: 'interrupted' });
    stream.close();
  });
});
