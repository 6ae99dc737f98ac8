import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApiClient } from '../support/client.js';
import { create, demoModel, faultsOf, ISO, type ModelConfig, NOWHERE, refusal } from '../support/crud.js';
import { strictAjv } from '../support/openapi.js';
import { type Rig, startRig } from '../support/rig.js';

let rig: Rig;
let client: ApiClient;
let model: ModelConfig;

beforeAll(async () => {
  rig = await startRig();
  client = rig.client();
  model = await demoModel(client);
}, 30_000);

afterAll(() => rig.stop());

describe('agents', () => {
  it('are created with their defaults, read, changed and deleted', async () => {
    const id = await create(client, '/agent', { name: '  Ada  ' });
    const view = await client.ok('GET', `/agent/${id}`);
    expect(view).toEqual({
      id,
      user_id: 'alice',
      source: 'user',
      editable: true,
      created_at: expect.stringMatching(ISO),
      updated_at: expect.stringMatching(ISO),
      data: {
        name: 'Ada',
        system_prompt: "You're a helpful assistant.",
        context_config: { trigger_ratio: 0.8, reserve_ratio: 0.1, tool_result_limit: 50_000, max_image_num: 5 },
        react_config: { max_iters: 50, structured_output_grace_iters: 5 },
        invite_config: { invitable: false, invite_description: null },
        chat_model_config: null,
        fallback_chat_model_config: null,
      },
    });
    const deleted = await client.request('DELETE', `/agent/${id}`);
    expect([deleted.status, deleted.text]).toEqual([204, '']);
    for (const method of ['GET', 'PATCH', 'DELETE']) {
      const body = method === 'PATCH' ? {} : undefined;
      expect(refusal(await client.request(method, `/agent/${id}`, body))).toEqual([404, 'agent_not_found']);
    }
  });

  it('keep what a PATCH does not name, in nested configurations too; null clears a model', async () => {
    const id = await create(client, '/agent', {
      name: 'a',
      system_prompt: 'prompt',
      context_config: { max_image_num: 1, tool_result_limit: 7 },
      chat_model_config: model,
      fallback_chat_model_config: model,
    });
    type View = { data: Record<string, unknown>; created_at: string; updated_at: string };
    const before = await client.ok<View>('GET', `/agent/${id}`);
    const patch = { context_config: { max_image_num: 9 }, react_config: { max_iters: 3 }, chat_model_config: null };
    const after = await client.ok<View>('PATCH', `/agent/${id}`, patch);
    expect(after.data).toEqual({
      ...before.data,
      context_config: { ...(before.data['context_config'] as object), max_image_num: 9 },
      react_config: { ...(before.data['react_config'] as object), max_iters: 3 },
      chat_model_config: null,
    });
    expect(after.data['fallback_chat_model_config']).toEqual({ ...model, parameters: {} });
    expect(after.created_at).toBe(before.created_at);
    expect(Date.parse(after.updated_at)).toBeGreaterThanOrEqual(Date.parse(before.updated_at));
    expect(await client.ok('PATCH', `/agent/${id}`, {})).toMatchObject({ data: after.data });
  });

  it('lose no field when two PATCHes meet', async () => {
    const id = await create(client, '/agent', { name: 'a' });
    await Promise.all([
      client.ok('PATCH', `/agent/${id}`, { name: 'b' }),
      client.ok('PATCH', `/agent/${id}`, { system_prompt: 'c' }),
      client.ok('PATCH', `/agent/${id}`, { react_config: { max_iters: 2 } }),
    ]);
    expect(await client.ok('GET', `/agent/${id}`)).toMatchObject({
      data: { name: 'b', system_prompt: 'c', react_config: { max_iters: 2 } },
    });
  });

  it.each<[string, unknown, string[]]>([
    ['no name', {}, ['name']],
    ['an empty name', { name: '  ' }, ['name']],
    [
      'a nested number out of range',
      { name: 'a', context_config: { trigger_ratio: 0.95 } },
      ['context_config.trigger_ratio'],
    ],
    ['a nested value of another type', { name: 'a', react_config: { max_iters: 'many' } }, ['react_config.max_iters']],
    ['two faults', { name: 7, react_config: { max_iters: 0 } }, ['name', 'react_config.max_iters']],
    [
      'an invitation without words',
      { name: 'a', invite_config: { invitable: true } },
      ['invite_config.invite_description'],
    ],
  ])('are refused with %s', async (_name, body, paths) => {
    expect(faultsOf(await client.request('POST', '/agent', body))).toEqual(paths);
  });

  it('are not made invitable by two halves of a fault', async () => {
    const id = await create(client, '/agent', { name: 'a', invite_config: { invite_description: 'ask me' } });
    await client.ok('PATCH', `/agent/${id}`, { invite_config: { invitable: true } });
    const answer = await client.request('PATCH', `/agent/${id}`, { invite_config: { invite_description: null } });
    expect(faultsOf(answer)).toEqual(['invite_config.invite_description']);
  });

  it.each<[string, Partial<ModelConfig>, string]>([
    ['another type than its credential', { type: 'openai_credential' }, 'chat_model_config.type'],
    ['a model its type does not have', { model: 'demo-2' }, 'chat_model_config.model'],
    ['a parameter its model does not take', { parameters: { temperature: 1 } }, 'chat_model_config.parameters'],
    ['a credential id that is none', { credential_id: 'mine' }, 'chat_model_config.credential_id'],
  ])('are refused with a model of %s', async (_name, change, path) => {
    const id = await create(client, '/agent', { name: 'a' });
    const body = { name: 'a', chat_model_config: { ...model, ...change } };
    for (const answer of [
      await client.request('POST', '/agent', body),
      await client.request('PATCH', `/agent/${id}`, body),
    ]) {
      expect(faultsOf(answer)).toEqual([path]);
    }
    const fallback = { name: 'a', fallback_chat_model_config: { ...model, ...change } };
    expect(faultsOf(await client.request('POST', '/agent', fallback))).toEqual([`fallback_${path}`]);
  });

  it('say where in the parameters of a model a fault stands', async () => {
    const data = { type: 'openai_credential', api_key: 'sk-x' };
    const credential_id = await create(client, '/credential', { data });
    const config = (parameters: object) => ({
      name: 'a',
      chat_model_config: { type: 'openai_credential', credential_id, model: 'gpt-4o-mini', parameters },
    });
    const wrong = await client.request('POST', '/agent', config({ temperature: 9, max_tokens: 0 }));
    expect(faultsOf(wrong).sort()).toEqual([
      'chat_model_config.parameters.max_tokens',
      'chat_model_config.parameters.temperature',
    ]);
    await create(client, '/agent', config({ temperature: 0.5, max_tokens: null }));
    expect(
      refusal(
        await client.request('POST', '/agent', { name: 'a', chat_model_config: { ...model, credential_id: NOWHERE } }),
      ),
    ).toEqual([404, 'credential_not_found']);
  });
});

describe('credentials', () => {
  it('get a name when they have none, each another', async () => {
    const other = rig.client('namer');
    const names = [];
    for (let i = 0; i < 3; i++) {
      const id = await create(other, '/credential', { data: { type: 'demo_credential' } });
      names.push((await other.ok<{ data: { name: string } }>('GET', `/credential/${id}`)).data.name);
    }
    expect(names).toEqual(['Demo (no AI)', 'Demo (no AI) (2)', 'Demo (no AI) (3)']);
  });

  it('keep their type, and what a PATCH does not name; null clears', async () => {
    const data = {
      type: 'openai_credential',
      name: 'n',
      api_key: 'sk-x',
      organization: 'org',
      base_url: 'https://a.example/v1',
    };
    const id = await create(client, '/credential', { data });
    expect(await client.ok('PATCH', `/credential/${id}`, { data: { organization: null } })).toMatchObject({
      id,
      data: { type: 'openai_credential', name: 'n', organization: null, base_url: 'https://a.example/v1' },
    });
    const changed = await client.request('PATCH', `/credential/${id}`, { data: { type: 'demo_credential' } });
    expect(faultsOf(changed)).toEqual(['data.type']);
    await client.ok('DELETE', `/credential/${id}`);
    expect(refusal(await client.request('GET', `/credential/${id}`))).toEqual([404, 'credential_not_found']);
  });

  it.each<[string, object, string[]]>([
    ['no data', {}, ['data']],
    ['no type', { data: {} }, ['data.type']],
    ['an unknown type', { data: { type: 'magic' } }, ['data.type']],
    ['a missing key', { data: { type: 'openai_credential' } }, ['data.api_key']],
    ['a wrong base_url', { data: { type: 'openai_credential', api_key: 'k', base_url: 'ftp://a' } }, ['data.base_url']],
  ])('are refused with %s', async (_name, body, paths) => {
    expect(faultsOf(await client.request('POST', '/credential', body))).toEqual(paths);
  });

  it('have forms that are strict JSON Schemas, with their secrets marked', async () => {
    type Form = { properties: Record<string, { const?: string; writeOnly?: boolean; format?: string }> };
    const { schemas } = await client.ok<{ schemas: Form[] }>('GET', '/credential/schemas');
    expect(schemas).toHaveLength(12);
    for (const schema of schemas) strictAjv().compile(schema);
    const form = schemas.find((schema) => schema.properties['type']?.const === 'openai_credential');
    const openAi = form && strictAjv().compile(form);
    expect(openAi?.({ type: 'openai_credential', api_key: 'sk-x' })).toBe(true);
    expect(openAi?.({ type: 'openai_credential' })).toBe(false);
    expect(openAi?.({ type: 'openai_credential', api_key: 'sk-x', more: 1 })).toBe(false);
    expect(form?.properties['api_key']).toMatchObject({ format: 'password', writeOnly: true });
  });
});
