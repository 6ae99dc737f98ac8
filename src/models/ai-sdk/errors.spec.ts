import {
  APICallError,
  EmptyResponseBodyError,
  JSONParseError,
  LoadAPIKeyError,
  NoSuchModelError,
  UnsupportedFunctionalityError,
} from '@ai-sdk/provider';
import { describe, expect, it } from '@jest/globals';
import type { ErrorType } from '../../core/messages/message.js';
import { ModelError } from '../../core/models/chat-model.js';
import { toModelError, toThrowable } from './errors.js';

const NOW = Date.parse('2026-11-20T10:00:00Z');

function api(statusCode?: number, responseHeaders?: Record<string, string>, cause?: unknown): APICallError {
  const requestBodyValues = { messages: ['what a tenant said'] };
  return new APICallError({
    message: 'said no',
    url: 'http://x',
    requestBodyValues,
    statusCode,
    responseHeaders,
    cause,
  });
}

const coded = (code: string): Error => Object.assign(new Error('broken'), { code });
const named = (name: string): Error => Object.assign(new Error('ended'), { name });

const CASES: [string, unknown, ErrorType][] = [
  ['400', api(400), 'invalid_request'],
  ['401', api(401), 'authentication'],
  ['402', api(402), 'invalid_request'],
  ['403', api(403), 'permission'],
  ['404', api(404), 'invalid_request'],
  ['408', api(408), 'connection'],
  ['422', api(422), 'invalid_request'],
  ['429', api(429), 'rate_limit'],
  ['500', api(500), 'upstream'],
  ['503', api(503), 'upstream'],
  ['529', api(529), 'upstream'],
  ['an answer that cannot be read', api(200), 'upstream'],
  ['an answer that broke off', api(200, {}, new TypeError('terminated')), 'connection'],
  ['no answer', api(), 'connection'],
  ['a refused connection', api(undefined, undefined, coded('ECONNREFUSED')), 'connection'],
  ['a name that does not resolve', coded('ENOTFOUND'), 'connection'],
  ['a reset', new Error('wrapped', { cause: coded('ECONNRESET') }), 'connection'],
  ['a timeout of the client', coded('UND_ERR_HEADERS_TIMEOUT'), 'connection'],
  ['a timeout signal', named('TimeoutError'), 'connection'],
  ["an abort that is not the caller's", named('AbortError'), 'connection'],
  ['fetch failed', new TypeError('fetch failed'), 'connection'],
  ['terminated', new TypeError('terminated'), 'connection'],
  ['socket hang up', new Error('socket hang up'), 'connection'],
  ['no key', new LoadAPIKeyError({ message: 'no key' }), 'authentication'],
  ['no such model', new NoSuchModelError({ modelId: 'x', modelType: 'languageModel' }), 'invalid_request'],
  ['unsupported input', new UnsupportedFunctionalityError({ functionality: 'video' }), 'invalid_request'],
  ['garbage', new JSONParseError({ text: '{', cause: new Error('x') }), 'upstream'],
  ['nothing', new EmptyResponseBodyError(), 'upstream'],
  ['an error frame with a status', { message: 'too fast', statusCode: 429, data: {} }, 'rate_limit'],
  ['an error frame without', { message: 'hm' }, 'unknown'],
  ['a string', 'hm', 'unknown'],
  ['anything else', new Error('hm'), 'unknown'],
  ['undefined', undefined, 'unknown'],
];

describe('toModelError', () => {
  it.each(CASES)('takes %s', (_, error, type) => {
    const result = toModelError(error);
    expect([result.type, result.message.length > 0]).toEqual([type, true]);
  });

  it.each([
    "This model's maximum context length is 8192 tokens. However, your messages resulted in 9000 tokens.",
    'prompt is too long: 210000 tokens > 200000 maximum',
    'input length and `max_tokens` exceed context limit: 198000 + 8192 > 200000',
    'The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).',
    'Input is too long for requested model.',
    "This model's maximum prompt length is 131072 but the request contains 140000 tokens.",
    'the request exceeds the available context size',
  ])('knows a conversation that is too long: %s', (message) => {
    const error = toModelError(new APICallError({ message, url: 'http://x', requestBodyValues: {}, statusCode: 400 }));
    expect([error.type, error.options.overflow]).toEqual(['invalid_request', true]);
    const busy = toModelError(new APICallError({ message, url: 'http://x', requestBodyValues: {}, statusCode: 503 }));
    expect(busy.options.overflow).toBeUndefined();
  });

  it('does not take another fault for that', () => {
    const message = 'max_tokens is too large: 100000. This model supports at most 16384 completion tokens.';
    const error = toModelError(new APICallError({ message, url: 'http://x', requestBodyValues: {}, statusCode: 400 }));
    expect(error.options.overflow).toBeUndefined();
  });

  it('takes an address that may not be reached for a failed connection that is not tried again', () => {
    for (const error of [coded('egress_refused'), new TypeError('x', { cause: coded('egress_refused') })]) {
      expect(toModelError(error)).toMatchObject({ type: 'connection', retryable: false });
    }
    expect(toModelError(coded('ECONNREFUSED')).retryable).toBe(true);
  });

  it('survives a circle of causes', () => {
    const error = new Error('a');
    error.cause = error;
    expect(toModelError(error).type).toBe('unknown');
  });

  it.each<[Record<string, string>, number | undefined]>([
    [{ 'retry-after': '7' }, 7000],
    [{ 'retry-after': '0.5' }, 500],
    [{ 'retry-after': '7', 'retry-after-ms': '120' }, 120],
    [{ 'retry-after': 'Fri, 20 Nov 2026 10:00:30 GMT' }, 30_000],
    [{ 'retry-after': 'Fri, 20 Nov 2026 09:00:00 GMT' }, 0],
    [{ 'retry-after': 'soon' }, undefined],
    [{ 'retry-after': '-5' }, undefined],
    [{}, undefined],
  ])('reads %j', (headers, expected) => {
    expect(toModelError(api(429, headers), NOW).options.retry_after_ms).toBe(expected);
    expect(toModelError(api(503, headers), NOW).options.retry_after_ms).toBe(expected);
  });

  it('keeps nothing of the request', () => {
    const error = toModelError(api(500, {}, new Error('x')));
    expect(error.cause).toBeUndefined();
    expect(error.message).toBe('HTTP 500: said no');
    expect(JSON.stringify(error)).not.toContain('tenant');
    const garbage = toModelError(new JSONParseError({ text: 'what a tenant said', cause: new Error('x') }));
    expect(`${garbage.message} ${JSON.stringify(garbage)}`).not.toContain('tenant');
  });
});

describe('what a provider says of its failure', () => {
  const says = (statusCode: number | undefined, body: unknown, responseHeaders?: Record<string, string>) =>
    new APICallError({
      message: 'said no',
      url: 'http://x',
      requestBodyValues: {},
      statusCode,
      responseHeaders,
      responseBody: JSON.stringify(body),
    });

  it.each<[string, unknown, ErrorType, boolean]>([
    [
      'a key that Gemini does not know',
      says(400, { error: { code: 400, status: 'INVALID_ARGUMENT', details: [{ reason: 'API_KEY_INVALID' }] } }),
      'authentication',
      false,
    ],
    [
      'a signature that Amazon does not take',
      says(403, {}, { 'x-amzn-errortype': 'UnrecognizedClientException:http://internal' }),
      'authentication',
      false,
    ],
    ['a role that may not', says(403, {}, { 'x-amzn-errortype': 'AccessDeniedException' }), 'permission', false],
    [
      'a used-up quota at OpenAI',
      says(429, { error: { type: 'insufficient_quota', code: 'insufficient_quota' } }),
      'rate_limit',
      false,
    ],
    [
      'a used-up quota at Moonshot',
      says(429, { error: { type: 'exceeded_current_quota_error' } }),
      'rate_limit',
      false,
    ],
    ['a rate limit', says(429, { error: { type: 'requests', code: 'rate_limit_exceeded' } }), 'rate_limit', true],
    ['the wish not to be asked again', says(500, {}, { 'x-should-retry': 'false' }), 'upstream', false],
    ['the wish to be asked again', says(409, {}, { 'x-should-retry': 'true' }), 'invalid_request', true],
    [
      'a model that broke at Bedrock',
      { message: 'x', type: 'modelStreamErrorException', statusCode: 424 },
      'upstream',
      true,
    ],
    ['a frame of Anthropic', { type: 'error', error: { type: 'overloaded_error', message: 'x' } }, 'upstream', true],
    ['a frame of Gemini', { error: { status: 'RESOURCE_EXHAUSTED', message: 'x' } }, 'rate_limit', true],
    [
      'a failed response of OpenAI',
      { type: 'response.failed', response: { error: { code: 'server_error' } } },
      'upstream',
      true,
    ],
    ['a page of a proxy', says(502, '<html>'), 'upstream', true],
  ])('takes %s', (_, error, type, retryable) => {
    const result = toModelError(error);
    expect([result.type, result.retryable]).toEqual([type, retryable]);
  });

  it('reads how long Gemini wants to be left alone', () => {
    const details = [{ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay: '17.5s' }];
    const error = toModelError(says(429, { error: { code: 429, status: 'RESOURCE_EXHAUSTED', details } }));
    expect(error.options.retry_after_ms).toBe(17_500);
  });

  it('survives what is no error body', () => {
    let deep: unknown = { code: 'invalid_api_key' };
    for (let i = 0; i < 100; i += 1) deep = { error: deep };
    expect(toModelError(says(400, deep)).type).toBe('invalid_request');
    expect(toModelError(says(400, { code: 'x'.repeat(100_000), error: { code: 'invalid_api_key' } })).type).toBe(
      'invalid_request',
    );
  });
});

describe('toThrowable', () => {
  it("gives the signal's reason after an abort, whatever broke", () => {
    const reason = new Error('stopped');
    expect(toThrowable(api(500), AbortSignal.abort(reason))).toBe(reason);
  });

  it('leaves model errors as they are', () => {
    const error = new ModelError('permission', 'x');
    const { signal } = new AbortController();
    expect(toThrowable(error, signal)).toBe(error);
    expect(toThrowable(api(500), signal)).toBeInstanceOf(ModelError);
  });
});
