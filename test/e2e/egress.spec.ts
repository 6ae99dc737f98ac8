import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ApiClient } from '../support/client.js';
import { faultsOf } from '../support/crud.js';
import { type OpenAiServer, startOpenAiServer } from '../support/openai-server.js';
import { databaseEnv } from '../support/rig.js';
import { runToExit, type Service, startService } from '../support/service.js';

describe('a model server on loopback', () => {
  let database: Awaited<ReturnType<typeof databaseEnv>>;
  let model: OpenAiServer;
  let service: Service;
  let client: ApiClient;
  let credential: string;
  let session: string;

  beforeAll(async () => {
    model = await startOpenAiServer();
    database = await databaseEnv();
    await start(`localhost:${new URL(model.url).port}`);
  }, 60_000);
  afterAll(async () => {
    await service.stop();
    await model.stop();
    await database.drop();
  });

  async function start(AERIE_EGRESS_ALLOW: string): Promise<void> {
    service = await startService({ env: { ...database.env, AERIE_EGRESS_ALLOW } });
    client = new ApiClient(service.url);
  }

  async function restart(allow: string): Promise<void> {
    await service.stop();
    await start(allow);
  }

  const dataOf = (base_url?: string) => ({ data: { type: 'openai_credential', api_key: 'sk-test', base_url } });

  async function ask() {
    const stream = await client.stream(session, '?after=latest');
    await client.say(session, 'ping');
    const { event } = await stream.replies();
    stream.close();
    return event;
  }

  it('is called when it is allowed', async () => {
    const created = await client.ok<{ credential_id: string }>('POST', '/credential', dataOf(model.url));
    credential = created.credential_id;
    const chat_model_config = { type: 'openai_credential', credential_id: credential, model: 'local' };
    const { agent_id } = await client.ok<{ agent_id: string }>('POST', '/agent', { name: 'a', chat_model_config });
    ({ session_id: session } = await client.ok<{ session_id: string }>('POST', '/sessions', { agent_id }));
    expect(await ask()).toMatchObject({ finished_reason: 'completed' });
    expect(model.calls).toHaveLength(1);
  });

  it('is allowed on this port only', async () => {
    const answer = await client.request('POST', '/credential', dataOf('http://127.0.0.1:1/v1'));
    expect([answer.status, faultsOf(answer)]).toEqual([400, ['data.base_url']]);
  });

  it('is not called when it is no longer allowed, and the reply says that it could not be reached', async () => {
    await restart('');
    const event = await ask();
    expect(event).toMatchObject({ finished_reason: 'error', error: { type: 'connection' } });
    expect(model.calls).toHaveLength(1);
    // Tried once: what is refused stays refused.
    const said = service
      .output()
      .split('\n')
      .filter((line) => line.includes('is not an address that this service may reach'));
    expect(said).toHaveLength(1);
  });

  it.each([
    'http://127.0.0.1:11434/v1',
    'http://2130706433/v1',
    'http://[::ffff:7f00:1]/v1',
    'http://localhost:11434/v1',
    'http://169.254.169.254/v1',
  ])('cannot be stored as %s', async (base_url) => {
    const answers = [
      await client.request('POST', '/credential', dataOf(base_url)),
      await client.request('PATCH', `/credential/${credential}`, { data: { base_url } }),
    ];
    for (const answer of answers) expect([answer.status, faultsOf(answer)]).toEqual([400, ['data.base_url']]);
  });

  it('may stay where it is stored while something else changes', async () => {
    await client.ok('PATCH', `/credential/${credential}`, { data: { name: 'renamed', base_url: model.url } });
  });

  it('with a name is looked at when it is called', async () => {
    await client.ok('POST', '/credential', dataOf('https://llm.example/v1'));
  });

  it('is allowed in words the service understands, or it does not start', async () => {
    const { code, output } = await runToExit({ env: { ...database.env, AERIE_EGRESS_ALLOW: 'localhost,http://a' } });
    expect(code).toBe(1);
    expect(output).toContain('AERIE_EGRESS_ALLOW: each must be');
  });
});
