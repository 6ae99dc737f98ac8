import { AwsV4Signer } from 'aws4fetch';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { json, RecordingServer } from '../../../test/support/recording-server.js';
import type { ErrorType } from '../../core/messages/message.js';
import { ModelError } from '../../core/models/chat-model.js';
import { verifyAnthropic } from './anthropic/verify.js';
import { verifyAzure } from './azure_openai/verify.js';
import { verifyBedrock } from './bedrock/verify.js';
import type { ProviderAccess } from './credential-type.js';
import { verifyGemini } from './gemini/verify.js';
import { verifyByGet } from './http-verify.js';
import { verifyOllama } from './ollama/verify.js';
import { verifyOpenAi } from './openai/verify.js';

let server: RecordingServer;
beforeAll(async () => {
  server = await RecordingServer.start(json(200, { data: [] }));
});
afterAll(() => server.stop());

/** Reaches the server here whatever host is asked for; the host is kept in a header. */
const rerouted: ProviderAccess = {
  fetch: (input, init) => {
    const { host, pathname, search } = new URL(input as string);
    return fetch(`${server.url}${pathname}${search}`, { ...init, headers: { ...init?.headers, 'x-host': host } });
  },
};
const direct: ProviderAccess = { fetch: globalThis.fetch };
const { signal } = new AbortController();
const api_key = 'sk-test';

describe('what is asked', () => {
  const aws = { region: 'eu-central-1', access_key_id: 'AKID', secret_access_key: 'secret', session_token: 'token' };

  it.each<[string, () => Promise<void>, string, string, Record<string, string>]>([
    [
      'OpenAI',
      () => verifyOpenAi({ api_key, organization: 'org', base_url: 'https://api.openai.com/v1' }, rerouted, signal),
      'api.openai.com',
      '/v1/models',
      { authorization: 'Bearer sk-test', 'openai-organization': 'org' },
    ],
    [
      'a base URL with a slash',
      () => verifyOpenAi({ base_url: 'https://example.com/v1/' }, rerouted, signal),
      'example.com',
      '/v1/models',
      {},
    ],
    [
      'Anthropic',
      () => verifyAnthropic({ api_key, base_url: 'https://api.anthropic.com/v1' }, rerouted, signal),
      'api.anthropic.com',
      '/v1/models?limit=1',
      { 'x-api-key': 'sk-test', 'anthropic-version': '2023-06-01' },
    ],
    [
      'Gemini',
      () => verifyGemini({ api_key, base_url: 'https://generativelanguage.googleapis.com/v1beta' }, rerouted, signal),
      'generativelanguage.googleapis.com',
      '/v1beta/models?pageSize=1',
      { 'x-goog-api-key': 'sk-test' },
    ],
    [
      'Ollama',
      () => verifyOllama({ host: 'http://localhost:11434' }, rerouted, signal),
      'localhost:11434',
      '/api/tags',
      {},
    ],
    [
      'Azure',
      () => verifyAzure({ api_key, base_url: 'https://r.openai.azure.com/openai' }, rerouted, signal),
      'r.openai.azure.com',
      '/openai/v1/models?api-version=v1',
      { 'api-key': 'sk-test' },
    ],
    [
      'Azure by a dated version',
      () =>
        verifyAzure(
          { api_key, base_url: 'https://r.openai.azure.com/openai', api_version: '2024-10-21' },
          rerouted,
          signal,
        ),
      'r.openai.azure.com',
      '/openai/models?api-version=2024-10-21',
      { 'api-key': 'sk-test' },
    ],
    [
      'Bedrock by a key',
      () => verifyBedrock({ region: 'us-east-1', api_key }, rerouted, signal),
      'bedrock.us-east-1.amazonaws.com',
      '/foundation-models',
      { authorization: 'Bearer sk-test' },
    ],
    [
      'Bedrock in China',
      () => verifyBedrock({ region: 'cn-north-1', api_key }, rerouted, signal),
      'bedrock.cn-north-1.amazonaws.com.cn',
      '/foundation-models',
      {},
    ],
    [
      'Bedrock inside a VPC',
      () => verifyBedrock({ region: 'us-east-1', api_key, base_url: 'https://vpce.example.com' }, rerouted, signal),
      'vpce.example.com',
      '/async-invoke?maxResults=1',
      {},
    ],
    [
      'Bedrock by a signature',
      () => verifyBedrock(aws, rerouted, signal),
      'bedrock.eu-central-1.amazonaws.com',
      '/foundation-models',
      { 'x-amz-security-token': 'token' },
    ],
  ])('%s', async (_, verify, host, path, headers) => {
    await verify();
    const { method, path: asked, headers: sent } = server.last;
    expect([method, sent['x-host'], asked]).toEqual(['GET', host, path]);
    expect(sent).toMatchObject(headers);
  });

  it('signs as Amazon does', async () => {
    await verifyBedrock(aws, rerouted, signal);
    const { headers } = server.last;
    const again = await new AwsV4Signer({
      url: 'https://bedrock.eu-central-1.amazonaws.com/foundation-models',
      method: 'GET',
      service: 'bedrock',
      region: aws.region,
      accessKeyId: aws.access_key_id,
      secretAccessKey: aws.secret_access_key,
      sessionToken: aws.session_token,
      headers: { accept: headers.accept ?? '' },
      datetime: headers['x-amz-date'] as string,
    }).sign();
    expect(headers.authorization).toBe(again.headers.get('authorization'));
    expect(JSON.stringify(headers)).not.toContain(aws.secret_access_key);
  });
});

describe('what is answered', () => {
  const verify = (limit_ms?: number, within = signal) =>
    verifyByGet(direct, { url: `${server.url}/v1/models`, headers: {} }, within, limit_ms);

  it.each<[string, number, object, Record<string, string>, ErrorType]>([
    ['401', 401, {}, {}, 'authentication'],
    ['403', 403, {}, {}, 'permission'],
    [
      'a key that Gemini does not know',
      400,
      { error: { details: [{ reason: 'API_KEY_INVALID' }] } },
      {},
      'authentication',
    ],
    [
      'a signature that Amazon does not take',
      403,
      {},
      { 'x-amzn-errortype': 'InvalidSignatureException' },
      'authentication',
    ],
    ['404', 404, {}, {}, 'invalid_request'],
    ['429', 429, {}, { 'retry-after': '3' }, 'rate_limit'],
    ['503', 503, {}, {}, 'upstream'],
    ['a way elsewhere', 302, {}, { location: 'http://169.254.169.254/' }, 'invalid_request'],
    ['a page for everybody', 200, {}, { 'content-type': 'text/html' }, 'upstream'],
  ])('%s', async (_, status, body, headers, type) => {
    server.answer = json(status, body, headers);
    const before = server.requests.length;
    const error: unknown = await verify().catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(ModelError);
    expect((error as ModelError).type).toBe(type);
    expect((error as ModelError).cause).toBeUndefined();
    expect(server.requests.length).toBe(before + 1);
  });

  it('nothing, for too long', async () => {
    server.answer = () => undefined;
    await expect(verify(20)).rejects.toMatchObject({ name: 'ModelError', type: 'connection' });
  });

  it('nothing until the caller gives up', async () => {
    const arrived = Promise.withResolvers<void>();
    server.answer = () => arrived.resolve();
    const controller = new AbortController();
    const reason = new Error('stopped');
    const pending = verify(undefined, controller.signal);
    await arrived.promise;
    controller.abort(reason);
    await expect(pending).rejects.toBe(reason);
  });

  it('an error without end', async () => {
    const closed = Promise.withResolvers<void>();
    server.answer = (response) => {
      response.once('close', () => closed.resolve());
      response.writeHead(500, { 'content-type': 'application/json' });
      const more = (): void => {
        while (!response.destroyed && response.write('x'.repeat(16_384)));
        response.once('drain', more);
      };
      more();
    };
    await expect(verify()).rejects.toMatchObject({ name: 'ModelError', type: 'upstream' });
    await closed.promise;
  });

  it('that nobody listens', async () => {
    const gone = await RecordingServer.start(json(200, {}));
    const { url } = gone;
    await gone.stop();
    const pending = verifyByGet(direct, { url, headers: {} }, signal);
    await expect(pending).rejects.toMatchObject({ name: 'ModelError', type: 'connection' });
  });
});
