import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { ModelCall } from '../../core/models/chat-model.js';
import { BUILT_IN_CREDENTIAL_TYPES } from './built-in.js';
import { type CredentialType, CredentialTypeRegistry, secretFields } from './credential-type.js';

const registry = new CredentialTypeRegistry(BUILT_IN_CREDENTIAL_TYPES);

function typeOf(name: string): CredentialType {
  const type = registry.get(`${name}_credential`);
  if (!type) throw new Error(`there is no ${name}_credential`);
  return type;
}

const parse = (name: string, fields: object) =>
  typeOf(name).schema.safeParse({ type: `${name}_credential`, ...fields });

describe('the fields of each type', () => {
  const key = { api_key: 'sk-1' };
  const azure = { ...key, resource_name: 'ours' };
  const signed = { region: 'us-east-1', access_key_id: 'AKIA1', secret_access_key: 's' };

  it.each<[string, object, boolean]>([
    ['anthropic', key, true],
    ['anthropic', { ...key, base_url: null, name: 'mine' }, true],
    ['anthropic', { ...key, base_url: 'file:///etc' }, false],
    ['anthropic', {}, false],
    ['dashscope', key, true],
    ['deepseek', { ...key, base_url: 'https://proxy.example/deepseek' }, true],
    ['deepseek', { ...key, host: 'x' }, false],
    ['gemini', key, true],
    ['moonshot', { ...key, base_url: 'https://api.moonshot.ai/v1' }, true],
    ['ollama', {}, true],
    ['ollama', { host: 'http://127.0.0.1:11434' }, true],
    ['ollama', { host: 'localhost' }, false],
    ['xai', { ...key, api_host: 'eu-west-1.api.x.ai' }, true],
    ['xai', { ...key, api_host: 'api.x.ai/v1' }, false],
    ['xai', { ...key, api_host: 'user@api.x.ai' }, false],
    ['xai', { ...key, api_host: 'api.x.ai:443' }, true],
    ['xai', { ...key, api_host: 'api.x.ai:65536' }, false],
    ['xai', { ...key, api_host: '1.2.3.256' }, false],
    ['azure_openai', azure, true],
    ['azure_openai', { ...azure, api_version: '2024-10-21' }, true],
    ['azure_openai', { ...azure, api_version: 'newest' }, false],
    ['azure_openai', { ...key, base_url: 'https://gateway.example/openai' }, true],
    ['azure_openai', { ...azure, base_url: 'https://gateway.example/openai' }, false],
    ['azure_openai', { ...key, resource_name: 'evil.example/x' }, false],
    ['azure_openai', key, false],
    ['bedrock', { ...key, region: 'us-east-1' }, true],
    ['bedrock', signed, true],
    ['bedrock', { ...signed, session_token: 't' }, true],
    ['bedrock', { ...signed, ...key }, false],
    ['bedrock', { ...key, region: 'us-east-1', access_key_id: 'AKIA1' }, false],
    ['bedrock', { region: 'us-east-1', access_key_id: 'AKIA1' }, false],
    ['bedrock', { region: 'us-east-1.evil.example', ...key }, false],
    ['openai_compatible', { base_url: 'http://127.0.0.1:8080/v1' }, true],
    ['openai_compatible', { base_url: 'http://127.0.0.1:8080/v1', ...key }, true],
    ['openai_compatible', key, false],
    ['demo', {}, true],
    ['demo', key, false],
  ])('%s %j', (name, fields, valid) => {
    expect(parse(name, fields).success).toBe(valid);
  });

  it.each([
    ['dashscope', 'base_url', 'https://dashscope.aliyuncs.com/compatible-mode/v1'],
    ['deepseek', 'base_url', 'https://api.deepseek.com'],
    ['moonshot', 'base_url', 'https://api.moonshot.cn/v1'],
    ['xai', 'api_host', 'api.x.ai'],
  ])('%s fills in %s', (name, field, value) => {
    expect(parse(name, key).data).toMatchObject({ [field]: value });
  });

  it('say which of them are secret', () => {
    const secrets = registry.list().map(({ type, schema }) => [type, secretFields(schema)]);
    expect(Object.fromEntries(secrets)).toEqual({
      ...Object.fromEntries(registry.list().map(({ type }) => [type, ['api_key']])),
      demo_credential: [],
      ollama_credential: [],
      bedrock_credential: ['api_key', 'secret_access_key', 'session_token'],
    });
  });
});

describe('the model of each type', () => {
  const CANARY = 'canary-of-the-process';
  const VARIABLES = [
    ...[
      'OPENAI',
      'ANTHROPIC',
      'GOOGLE_GENERATIVE_AI',
      'XAI',
      'DEEPSEEK',
      'MOONSHOT',
      'ALIBABA',
      'AZURE',
      'OLLAMA',
    ].flatMap((prefix) => [`${prefix}_API_KEY`, `${prefix}_BASE_URL`]),
    ...['OPENAI_ORGANIZATION', 'OPENAI_PROJECT', 'ANTHROPIC_AUTH_TOKEN', 'AZURE_RESOURCE_NAME', 'OLLAMA_HOST'],
    ...['AWS_REGION', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY', 'AWS_SESSION_TOKEN', 'AWS_BEARER_TOKEN_BEDROCK'],
    ...['AWS_ENDPOINT_URL', 'AWS_ENDPOINT_URL_BEDROCK_RUNTIME'],
  ];

  beforeEach(() => {
    const values = VARIABLES.map((name) => [name, name.includes('URL') ? `https://${CANARY}.example` : CANARY]);
    jest.replaceProperty(process, 'env', Object.fromEntries(values) as NodeJS.ProcessEnv);
  });
  afterEach(() => void jest.restoreAllMocks());

  /** The one request a turn makes. */
  async function requestOf(name: string, fields: object, model: string) {
    const data = typeOf(name).schema.parse({ type: `${name}_credential`, ...fields });
    const seen: { url: string; headers: Headers; body: string }[] = [];
    const fetch: typeof globalThis.fetch = async (input, init) => {
      const request = new Request(input, init);
      seen.push({ url: request.url, headers: request.headers, body: await request.text() });
      return new Response('{}', { status: 401, headers: { 'content-type': 'application/json' } });
    };
    const call: ModelCall = {
      system: '',
      messages: [],
      tools: [],
      parameters: {},
      signal: new AbortController().signal,
    };
    const stream = typeOf(name).createChatModel(data, { name: model, card: null }, { fetch }).stream(call);
    await expect(stream[Symbol.asyncIterator]().next()).rejects.toMatchObject({ type: 'authentication' });
    const [request, ...others] = seen;
    if (!request || others.length > 0) throw new Error(`${seen.length} requests`);
    const text = `${request.url}\n${JSON.stringify([...request.headers])}\n${request.body}`;
    expect(text).not.toContain(CANARY);
    return request;
  }

  const key = { api_key: 'sk-tenant' };
  const bearer = ['authorization', 'Bearer sk-tenant'] as const;
  const local = { base_url: 'https://proxy.example/v1' };

  it.each<[string, object, string, readonly [string, string] | null]>([
    ['anthropic', key, 'https://api.anthropic.com/v1/messages', ['x-api-key', 'sk-tenant']],
    ['anthropic', { ...key, ...local }, 'https://proxy.example/v1/messages', ['x-api-key', 'sk-tenant']],
    ['dashscope', key, 'https://dashscope.aliyuncs.com/compatible-mode/v1/chat/completions', bearer],
    ['deepseek', key, 'https://api.deepseek.com/chat/completions', bearer],
    [
      'gemini',
      key,
      'https://generativelanguage.googleapis.com/v1beta/models/m:streamGenerateContent?alt=sse',
      ['x-goog-api-key', 'sk-tenant'],
    ],
    ['moonshot', key, 'https://api.moonshot.cn/v1/chat/completions', bearer],
    ['ollama', {}, 'http://localhost:11434/api/chat', null],
    ['ollama', { host: 'http://127.0.0.1:1/' }, 'http://127.0.0.1:1/api/chat', null],
    ['openai', key, 'https://api.openai.com/v1/responses', bearer],
    [
      'openai',
      { ...key, organization: 'org-1' },
      'https://api.openai.com/v1/responses',
      ['openai-organization', 'org-1'],
    ],
    ['openai', { ...key, ...local }, 'https://proxy.example/v1/chat/completions', bearer],
    ['xai', key, 'https://api.x.ai/v1/responses', bearer],
    [
      'azure_openai',
      { ...key, resource_name: 'ours' },
      'https://ours.openai.azure.com/openai/v1/responses?api-version=v1',
      ['api-key', 'sk-tenant'],
    ],
    [
      'azure_openai',
      { ...key, resource_name: 'ours', api_version: '2024-10-21' },
      'https://ours.openai.azure.com/openai/deployments/m/chat/completions?api-version=2024-10-21',
      ['api-key', 'sk-tenant'],
    ],
    ['azure_openai', { ...key, ...local }, 'https://proxy.example/v1/responses', ['api-key', 'sk-tenant']],
    [
      'bedrock',
      { ...key, region: 'eu-west-1' },
      'https://bedrock-runtime.eu-west-1.amazonaws.com/model/m/converse-stream',
      bearer,
    ],
    [
      'bedrock',
      { ...key, region: 'cn-north-1' },
      'https://bedrock-runtime.cn-north-1.amazonaws.com.cn/model/m/converse-stream',
      bearer,
    ],
    ['openai_compatible', { ...key, ...local }, 'https://proxy.example/v1/chat/completions', bearer],
  ])('%s %j calls its own provider with its own key only', async (name, fields, url, header) => {
    const request = await requestOf(name, fields, 'm');
    expect(request.url).toBe(url);
    if (header) expect(request.headers.get(header[0])).toBe(header[1]);
  });

  it.each([
    ['azure_openai', { ...key, ...local, api_version: '2024-10-21' }, 'https://proxy.example/v1/deployments/'],
    ['bedrock', { ...key, ...local, region: 'eu-west-1' }, 'https://proxy.example/v1/model/'],
  ])('%s: the name of a model leads to no other path', async (name, fields, under) => {
    const { url } = await requestOf(name, fields, '../../../admin?x=#');
    expect(url).toMatch(new RegExp(`^${under}`));
  });

  it.each([
    ['ollama', {}],
    ['openai_compatible', local],
  ])('%s %j sends no key when it has none', async (name, fields) => {
    expect((await requestOf(name, fields, 'm')).headers.has('authorization')).toBe(false);
  });

  it.each([
    ['openai', key],
    ['xai', key],
    ['azure_openai', { ...key, resource_name: 'ours' }],
  ])('%s is told to store nothing', async (name, fields) => {
    expect(JSON.parse((await requestOf(name, fields, 'm')).body)).toMatchObject({ store: false });
  });

  it.each([
    [{}, null],
    [{ session_token: 'token-1' }, 'token-1'],
  ])('bedrock signs by the access keys it was given: %j', async (token, sent) => {
    const keys = { region: 'us-east-1', access_key_id: 'AKIA1', secret_access_key: 's' };
    const { url, headers } = await requestOf('bedrock', { ...keys, ...token }, 'm');
    expect(url).toBe('https://bedrock-runtime.us-east-1.amazonaws.com/model/m/converse-stream');
    expect(headers.get('authorization')).toMatch(/^AWS4-HMAC-SHA256 Credential=AKIA1\/\d{8}\/us-east-1\/bedrock\//);
    expect(headers.get('x-amz-security-token')).toBe(sent);
  });
});

describe('the catalogues', () => {
  it.each([
    ['demo', 1, 0, 0],
    ['anthropic', 10, 0, 0],
    ['dashscope', 16, 2, 1],
    ['deepseek', 4, 0, 0],
    ['gemini', 9, 1, 2],
    ['moonshot', 8, 0, 0],
    ['ollama', 4, 3, 0],
    ['openai', 13, 3, 3],
    ['xai', 9, 0, 0],
    ['azure_openai', 0, 0, 0],
    ['bedrock', 0, 1, 0],
    ['openai_compatible', 0, 0, 0],
  ])('%s lists %i chat, %i embedding and %i speaking models', (name, chat, embedding, tts) => {
    const { models } = typeOf(name);
    expect([models.chat.length, models.embedding.length, models.tts.length]).toEqual([chat, embedding, tts]);
  });

  it('are open where models have names of their own', () => {
    const open = registry.list().filter((type) => type.allowsUnlistedModels);
    expect(open.map(({ type }) => type)).toEqual([
      'ollama_credential',
      'openai_credential',
      'azure_openai_credential',
      'bedrock_credential',
      'openai_compatible_credential',
    ]);
  });

  it.each([
    ['anthropic', 'claude-opus-5', ['max_tokens', 'thinking_mode', 'thinking_display', 'reasoning_effort']],
    ['anthropic', 'claude-haiku-4-5', ['max_tokens', 'thinking_enable', 'thinking_budget']],
    ['dashscope', 'qwen-long', ['max_tokens', 'temperature', 'top_p', 'top_k', 'parallel_tool_calls']],
    ['moonshot', 'moonshot-v1-8k', ['max_tokens', 'temperature', 'top_p']],
    ['openai', 'gpt-5.5', ['max_tokens', 'temperature', 'top_p', 'parallel_tool_calls']],
    ['openai', 'o3', ['max_tokens', 'thinking_enable', 'reasoning_effort', 'top_p', 'parallel_tool_calls']],
    ['xai', 'grok-4.20-0309-non-reasoning', ['max_tokens', 'temperature', 'top_p']],
  ])('%s %s takes %j', (name, model, parameters) => {
    const card = typeOf(name).models.chat.find((it) => it.name === model);
    expect(Object.keys(card?.parameter_schema.properties ?? {})).toEqual(parameters);
    expect(card?.parameter_schema.properties.max_tokens?.maximum).toBe(card?.output_size);
  });

  it('let only models that speak choose a voice', () => {
    const cards = registry.list().flatMap(({ models }) => models.chat);
    const voiced = cards.filter((card) => 'voice' in card.parameter_schema.properties);
    expect(voiced.map((card) => card.name)).toEqual(['qwen3.5-omni-plus', 'gpt-audio-mini']);
  });
});
