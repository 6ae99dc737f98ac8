import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { ApiClient } from '../support/client.js';
import { create, faultsOf, type ModelConfig, refusal } from '../support/crud.js';
import { type Rig, startRig } from '../support/rig.js';

interface Listed {
  readonly provider: string;
  readonly type: string;
  readonly name: string;
  readonly status: string;
  readonly input_types: string[];
}
interface List {
  readonly models: Listed[];
  readonly total: number;
}

let rig: Rig;
let client: ApiClient;

beforeAll(async () => {
  rig = await startRig();
  client = rig.client();
}, 30_000);

afterAll(() => rig.stop());

describe('the lists of models', () => {
  const list = (path: string) => client.ok<List>('GET', path);

  it('hold all chat models, each with its provider', async () => {
    const { models, total } = await list('/model');
    expect(total).toBe(models.length);
    expect(new Set(models.map((card) => card.provider)).size).toBe(9);
    expect(new Set(models.map((card) => card.type))).toEqual(new Set(['chat_model']));
    const twice = models.filter((card) => card.name === 'deepseek-v4-pro').map((card) => card.provider);
    expect(twice).toEqual(['dashscope_credential', 'deepseek_credential']);
  });

  it('are narrowed by provider, status and input', async () => {
    const names = async (query: string) => (await list(`/model?${query}`)).models.map((card) => card.name);
    expect(await names('provider=demo_credential')).toEqual(['demo-1']);
    expect(await names('provider=deepseek_credential&status=sunset')).toEqual(['deepseek-chat', 'deepseek-reasoner']);
    expect(await names('input_type=image/heic&provider=openai_credential')).toEqual([]);
    expect(await names('input_type=audio/flac')).toEqual(['qwen3.5-omni-plus']);
    expect(await names('input_type=audio/*&provider=openai_credential')).toEqual(['gpt-audio-mini']);
    const { models } = await list('/model?status=deprecated&input_type=image/*');
    expect(models.length).toBeGreaterThan(3);
    for (const card of models) {
      expect([card.status, card.input_types.join()]).toEqual(['deprecated', expect.stringContaining('image/')]);
    }
  });

  it('know models that embed and models that speak', async () => {
    expect(await list('/embedding_model?provider=gemini_credential')).toMatchObject({
      total: 1,
      models: [{ provider: 'gemini_credential', type: 'embedding_model', dimensions: [3072, 1536, 768] }],
    });
    expect(await list('/tts_model?provider=dashscope_credential')).toMatchObject({
      total: 1,
      models: [{ provider: 'dashscope_credential', type: 'tts_model', name: 'qwen3-tts-flash' }],
    });
    expect((await list('/tts_model?input_type=image/png')).total).toBe(0);
    expect((await list('/embedding_model?status=sunset')).total).toBe(0);
  });

  it.each(['/model', '/embedding_model', '/tts_model'])('%s says what it does not know', async (path) => {
    expect(refusal(await client.request('GET', `${path}?provider=magic`))).toEqual([404, 'provider_not_found']);
    expect(faultsOf(await client.request('GET', `${path}?status=new&input_type=image`))).toEqual([
      'status',
      'input_type',
    ]);
  });
});

describe('a model card', () => {
  it.each([
    ['demo_credential/demo-1', 'demo-1'],
    ['ollama_credential/qwen3:14b', 'qwen3:14b'],
    ['ollama_credential/qwen3%3A14b', 'qwen3:14b'],
    ['xai_credential/grok-4.20-0309-reasoning/', 'grok-4.20-0309-reasoning'],
  ])('is found at %s', async (path, name) => {
    const card = await client.ok('GET', `/model/${path}`);
    expect(card).toMatchObject({ provider: path.split('/')[0], type: 'chat_model', name });
  });

  it('holds the merged parameters, what its type was overridden by, and prices where they are known', async () => {
    expect(await client.ok('GET', '/model/anthropic_credential/claude-opus-4-5')).toMatchObject({
      output_size: 65_536,
      parameters_overrides: { thinking_mode: { hidden: true } },
      parameter_schema: { type: 'object', properties: { max_tokens: { maximum: 65_536 } }, required: [] },
      prices: { currency: 'USD', input: 5, output: 25, cache_input: 0.5, cache_creation: 6.25 },
    });
    expect(await client.ok('GET', '/model/demo_credential/demo-1')).toMatchObject({ prices: null });
  });

  it.each([
    ['magic/demo-1', 'provider_not_found'],
    ['demo_credential/demo-2', 'model_not_found'],
    ['openai_credential/vendor/model', 'model_not_found'],
    ['openai_credential/vendor%2Fmodel', 'model_not_found'],
    ['openai_credential/constructor', 'model_not_found'],
    ['demo_credential', 'not_found'],
    ['demo_credential/', 'not_found'],
  ])('is not found at %s', async (path, code) => {
    expect(refusal(await client.request('GET', `/model/${path}`))).toEqual([404, code]);
  });
});

/** A configuration over a credential of its own. */
async function config(type: string, model: string, parameters = {}, fields: object = { api_key: 'sk-1' }) {
  const credential_id = await create(client, '/credential', { data: { type, ...fields } });
  return { type, credential_id, model, parameters };
}

describe('the parameters of a model', () => {
  let agent_id: string;
  let session_id: string;
  beforeAll(async () => {
    agent_id = await create(client, '/agent', { name: 'a' });
    session_id = await create(client, '/sessions', { agent_id });
  });

  const places = (): [string, string, object][] => [
    ['POST', '/agent', { name: 'a' }],
    ['PATCH', `/agent/${agent_id}`, {}],
    ['POST', '/sessions', { agent_id }],
    ['PATCH', `/sessions/${session_id}`, {}],
  ];

  it.each<[string, string, object, object, string | null]>([
    ['anthropic_credential', 'claude-opus-5', { thinking_mode: 'adaptive', reasoning_effort: 'xhigh' }, {}, null],
    ['anthropic_credential', 'claude-opus-5', { thinking_budget: 1024 }, {}, ''],
    ['anthropic_credential', 'claude-opus-5', { max_tokens: 128_001 }, {}, 'max_tokens'],
    ['anthropic_credential', 'claude-opus-4-5', { reasoning_effort: 'max' }, {}, 'reasoning_effort'],
    ['dashscope_credential', 'qwen-plus', { temperature: 2 }, {}, 'temperature'],
    ['openai_credential', 'gpt-not-listed', { reasoning_effort: 'high', top_p: 1 }, {}, null],
    ['openai_credential', 'gpt-not-listed', { temperature: 3 }, {}, 'temperature'],
    ['openai_credential', 'gpt-not-listed', { temprature: 1 }, {}, ''],
    ['ollama_credential', 'our-own:7b', { temperature: 'hot' }, { api_key: undefined }, 'temperature'],
    ['azure_openai_credential', 'our-deployment', { max_tokens: 0 }, { resource_name: 'ours' }, 'max_tokens'],
    ['bedrock_credential', 'amazon.nova-pro-v1:0', { top_p: 0 }, { region: 'us-east-1' }, 'top_p'],
    ['openai_compatible_credential', 'any/model', { top_k: 5 }, { base_url: 'https://llm.example/v1' }, ''],
  ])('%s %s %j', async (type, model, parameters, fields, fault) => {
    const good = await config(type, model, {}, { api_key: 'sk-1', ...fields });
    for (const [method, path, body] of places()) {
      for (const field of ['chat_model_config', 'fallback_chat_model_config']) {
        const answer = await client.request(method, path, { ...body, [field]: { ...good, parameters } });
        if (fault === null)
          expect([method, path, answer.status]).toEqual([method, path, method === 'POST' ? 201 : 200]);
        else expect(faultsOf(answer)).toEqual([[field, 'parameters', ...(fault ? [fault] : [])].join('.')]);
      }
    }
  });
});

describe('a model that goes', () => {
  const warning = (field: string, name = 'gpt-4.1-nano', state = 'deprecated') => ({
    code: `model_${state}`,
    path: `${field}.model`,
    message: `${name} is ${state}.`,
  });

  interface Warned {
    readonly warnings: unknown[];
  }

  it('is warned of when it is deprecated, in the answer and by a header', async () => {
    const old = await config('openai_credential', 'gpt-4.1-nano');
    const grok = await config('xai_credential', 'grok-3');
    const agent = await client.request<Warned & { agent_id: string }>('POST', '/agent', {
      name: 'a',
      chat_model_config: old,
      fallback_chat_model_config: grok,
    });
    expect(agent.body.warnings).toEqual([
      warning('chat_model_config'),
      warning('fallback_chat_model_config', 'grok-3'),
    ]);
    expect(agent.headers.get('warning')).toBe('299 - "gpt-4.1-nano is deprecated.", 299 - "grok-3 is deprecated."');

    const { agent_id } = agent.body;
    const renamed = await client.request<Warned>('PATCH', `/agent/${agent_id}`, { name: 'b' });
    expect(renamed.body.warnings).toHaveLength(2);
    const session = await client.request<Warned & { session_id: string }>('POST', '/sessions', {
      agent_id,
      chat_model_config: old,
    });
    expect(session.body.warnings).toEqual([warning('chat_model_config')]);
    expect(session.headers.get('warning')).toBe('299 - "gpt-4.1-nano is deprecated."');

    const cleared = await client.request<Warned>('PATCH', `/sessions/${session.body.session_id}`, {
      chat_model_config: null,
    });
    expect([cleared.body.warnings, cleared.headers.get('warning')]).toEqual([[], null]);
    const later = await client.request<Warned>('PATCH', `/sessions/${session.body.session_id}`, {
      chat_model_config: old,
    });
    expect(later.body.warnings).toEqual([warning('chat_model_config')]);
    expect(await client.ok('GET', `/agent/${agent_id}`)).not.toHaveProperty('warnings');
  });

  describe('is sunset', () => {
    let sunset: ModelConfig;
    let active: ModelConfig;
    beforeAll(async () => {
      sunset = await config('deepseek_credential', 'deepseek-chat');
      active = { ...sunset, model: 'deepseek-v4-pro' };
    });

    it('and refused where it is chosen anew', async () => {
      const agent_id = await create(client, '/agent', { name: 'a', chat_model_config: active });
      const session_id = await create(client, '/sessions', { agent_id });
      for (const [method, path, body] of [
        ['POST', '/agent', { name: 'a' }],
        ['PATCH', `/agent/${agent_id}`, {}],
        ['POST', '/sessions', { agent_id }],
        ['PATCH', `/sessions/${session_id}`, {}],
      ] as const) {
        const answer = await client.request(method, path, { ...body, chat_model_config: sunset });
        expect(faultsOf(answer)).toEqual(['chat_model_config.model']);
      }
    });

    it.each([
      ['agents', 'data', (agentId: string) => Promise.resolve(['/agent', agentId])],
      [
        'sessions',
        'config',
        async (agent_id: string) => [
          '/sessions',
          await create(client, '/sessions', { agent_id, chat_model_config: active }),
        ],
      ],
    ] as const)('and goes on where %s have it already', async (table, column, make) => {
      const agentId = await create(client, '/agent', { name: 'a', chat_model_config: active });
      const [path, id] = await make(agentId);
      // As if the model had been chosen before its provider gave it up.
      await rig.sql(
        `UPDATE ${table} SET ${column} = jsonb_set(${column}, '{chat_model_config,model}', '"deepseek-chat"') WHERE id = '${id}'`,
      );
      const expected = [200, [warning('chat_model_config', 'deepseek-chat', 'sunset')]];
      const patch = async (body: object) => {
        const { status, body: view } = await client.request<Warned>('PATCH', `${path}/${id}`, body);
        return [status, view.warnings];
      };
      expect(await patch({ name: 'renamed' })).toEqual(expected);
      expect(await patch({ name: 'again', chat_model_config: sunset })).toEqual(expected);
      const changed = { chat_model_config: { ...sunset, parameters: { temperature: 1 } } };
      expect(faultsOf(await client.request('PATCH', `${path}/${id}`, changed))).toEqual(['chat_model_config.model']);
      expect(await patch({ chat_model_config: active })).toEqual([200, []]);
    });
  });
});
