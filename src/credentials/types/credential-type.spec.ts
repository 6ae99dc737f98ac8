import { describe, expect, it } from '@jest/globals';
import { z } from 'zod';
import {
  type CredentialType,
  CredentialTypeRegistry,
  credentialJsonSchema,
  secretFields,
  urlFields,
} from './credential-type.js';
import { demoCredentialType } from './demo/demo.type.js';
import { openAiCredentialType as openai } from './openai/openai.type.js';

const access = { fetch: globalThis.fetch };
const withSchema = (schema: z.ZodObject): CredentialType => ({ ...demoCredentialType, schema });

describe('credential types', () => {
  it('find secrets, also optional and nullable ones', () => {
    const secret = z.string().meta({ format: 'password', writeOnly: true });
    const schema = z.strictObject({
      a: secret,
      b: secret.nullable().optional(),
      c: z.string(),
      d: secret.default('x'),
    });
    expect(secretFields(schema)).toEqual(['a', 'b', 'd']);
    expect(secretFields(openai.schema)).toEqual(['api_key']);
    expect(secretFields(demoCredentialType.schema)).toEqual([]);
  });

  it('find URLs, also optional ones with a default', () => {
    const schema = z.strictObject({
      a: z
        .url({ protocol: /^https?$/ })
        .max(9)
        .refine(() => true)
        .meta({ title: 'A' }),
      b: z.url().nullable().optional(),
      c: z.string(),
      d: z.url().default('http://localhost:11434'),
    });
    expect(urlFields(schema)).toEqual(['a', 'b', 'd']);
    expect(urlFields(openai.schema)).toEqual(['base_url']);
  });

  it('describe themselves for a form', () => {
    expect(credentialJsonSchema(openai)).toMatchObject({
      title: 'OpenAI API',
      type: 'object',
      required: ['type', 'api_key'],
      additionalProperties: false,
      properties: {
        type: { const: 'openai_credential' },
        api_key: { title: 'API key', type: 'string', format: 'password', writeOnly: true },
        organization: { title: 'Organization' },
      },
    });
    expect(credentialJsonSchema(openai).properties).toHaveProperty('base_url.type', ['string', 'null']);
    const schema = z.strictObject({
      type: z.literal('demo_credential'),
      key: z.string().nullable().meta({ writeOnly: true }),
    });
    expect(credentialJsonSchema(withSchema(schema)).properties).toMatchObject({
      key: { title: 'Key', format: 'password', writeOnly: true },
    });
  });

  it('are registered once, strict and under their own name', () => {
    const registry = new CredentialTypeRegistry([demoCredentialType, openai]);
    expect(registry.list().map(({ type }) => type)).toEqual(['demo_credential', 'openai_credential']);
    expect(registry.get('openai_credential')?.title).toBe('OpenAI API');
    expect(registry.get('nope')).toBeUndefined();
    expect(() => new CredentialTypeRegistry([openai, openai])).toThrow('"openai_credential" is registered twice');
    const lax = withSchema(z.object({ type: z.literal('demo_credential') }));
    expect(() => new CredentialTypeRegistry([lax])).toThrow('strict');
    const misnamed = withSchema(z.strictObject({ type: z.literal('other') }));
    expect(() => new CredentialTypeRegistry([misnamed])).toThrow('type literal');
    const { models } = demoCredentialType;
    const twice = { ...demoCredentialType, models: { ...models, chat: [...models.chat, ...models.chat] } };
    expect(() => new CredentialTypeRegistry([twice])).toThrow(
      'The models of credential type "demo_credential" are not valid: chat_models "demo-1": listed twice',
    );
  });

  const hidden = z.string().meta({ format: 'password', writeOnly: true });
  it.each([
    ['below a property', z.strictObject({ key: hidden })],
    ['in a list', z.array(hidden)],
    ['behind a transformation', hidden.transform((text) => text.trim())],
    ['as one of several forms', z.union([hidden, z.number()])],
    ['marked as a password only', z.string().meta({ format: 'password' })],
  ])('with a secret that would be stored in the clear are refused: %s', (_name, field) => {
    const type = withSchema(z.strictObject({ type: z.literal('demo_credential'), field }));
    expect(() => new CredentialTypeRegistry([type])).toThrow('secrets that are not told apart: field');
  });

  it.each([
    [{ api_key: 'sk-1' }, true],
    [{ api_key: 'sk-1', name: 'mine', organization: null, base_url: 'http://127.0.0.1:4010/v1/' }, true],
    [{}, false],
    [{ api_key: '' }, false],
    [{ api_key: 'a\r\nx: y' }, false],
    [{ api_key: 'sk-1', apikey: 'sk-2' }, false],
    [{ api_key: 'sk-1', base_url: 'ftp://example.com' }, false],
    [{ api_key: 'sk-1', base_url: 'https://u:p@example.com' }, false],
    [{ api_key: 'sk-1', base_url: 'https://example.com/v1?a=b' }, false],
    [{ api_key: 'sk-1', base_url: 'not a url' }, false],
  ])('check %j', (fields, valid) => {
    expect(openai.schema.safeParse({ type: 'openai_credential', ...fields }).success).toBe(valid);
  });

  it('reach OpenAI by Responses, other servers by Chat Completions', () => {
    const data = { type: 'openai_credential' as const, name: '', api_key: 'k' };
    expect(openai.createChatModel(data, { name: 'gpt-5.5', card: null }, access).provider).toBe('openai.responses');
    expect(openai.createChatModel(data, { name: 'gpt-audio-mini', card: null }, access).provider).toBe('openai.chat');
    const local = openai.createChatModel(
      { ...data, base_url: 'http://127.0.0.1:1/v1' },
      { name: 'any', card: null },
      access,
    );
    expect([local.provider, local.name]).toEqual(['openai.chat', 'any']);
  });
});
