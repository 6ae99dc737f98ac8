import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { callOf, fail, file, message, text } from '../../../test/support/model-calls.js';
import { modelAt, type ProviderName, PROVIDERS } from '../../../test/support/provider-models.js';
import { json, RecordingServer } from '../../../test/support/recording-server.js';
import type { ContentBlock, DataBlock } from '../../core/messages/block.js';
import { buildModelCard } from '../../core/models/model-card.js';

/** What each provider's server gets of the media of a conversation. */
let server: RecordingServer;
beforeAll(async () => {
  server = await RecordingServer.start(json(400, { error: { message: 'seen' } }));
});
afterAll(() => server.stop());

const PNG = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==';
const data = (media_type: string, words: string): DataBlock =>
  file({ type: 'base64', data: media_type === 'image/png' ? PNG : Buffer.from(words).toString('base64'), media_type });
const MEDIA = {
  image: data('image/png', ''),
  pdf: data('application/pdf', '%PDF-1.4 a document'),
  wav: data('audio/x-wav', 'RIFF a sound'),
  mp3: data('audio/mp3', 'ID3 a song'),
  video: data('video/mp4', 'a film'),
  archive: data('application/zip', 'an archive'),
};
type Kind = keyof typeof MEDIA;

const bytesOf = (block: DataBlock): string => (block.source.type === 'base64' ? block.source.data : block.source.url);

/** Without a card, i.e. when only the package decides. */
const CARRIED: Record<ProviderName, readonly Kind[]> = {
  openai_responses: ['image', 'pdf'],
  openai_audio: ['wav', 'mp3'],
  openai_chat: ['image', 'pdf', 'wav', 'mp3'],
  azure_openai: ['image', 'pdf'],
  azure_openai_dated: ['image', 'pdf', 'wav', 'mp3'],
  anthropic: ['image', 'pdf'],
  gemini: ['image', 'pdf', 'wav', 'mp3', 'video'],
  dashscope: ['image'],
  deepseek: ['image'],
  moonshot: ['image', 'video'],
  xai: ['image'],
  ollama: ['image'],
  openai_compatible: ['image', 'pdf', 'wav', 'mp3', 'video'],
  bedrock: ['image', 'pdf', 'video'],
};
/** Those that fetch an image from the web by themselves. */
const FETCHES: readonly ProviderName[] = [
  'openai_responses',
  'openai_chat',
  'azure_openai',
  'azure_openai_dated',
  'anthropic',
  'gemini',
  'dashscope',
  'deepseek',
  'xai',
];

const TEXT_ONLY = buildModelCard(
  { type: 'object', properties: {}, required: [] },
  {
    name: 'm',
    label: 'M',
    status: 'active',
    deprecated_at: null,
    input_types: ['text/plain'],
    output_types: ['text/plain'],
    context_size: 1000,
    output_size: 1000,
    parameters_overrides: {},
    prices: null,
  },
);

const LOOK = { name: 'look', description: 'Look', input_schema: { type: 'object', properties: {} } };
const span = { created_at: '2026-11-20T10:00:00.000Z', finished_at: '2026-11-20T10:00:00.000Z' };
const looked = (...output: DataBlock[]): ContentBlock[] => [
  { type: 'tool_call', id: 'call_1', name: 'look', input: '{}', state: 'finished', suggested_rules: [], ...span },
  { type: 'tool_result', id: 'call_1', name: 'look', state: 'success', output, ...span },
];

describe.each(Object.keys(PROVIDERS) as ProviderName[])('%s', (provider) => {
  /** The body that the server got; nothing else was asked of anybody. */
  async function wire(content: ContentBlock[], reply: ContentBlock[] = [], card: typeof TEXT_ONLY | null = null) {
    const asked: string[] = [];
    const fetch: typeof globalThis.fetch = (input, init) => {
      asked.push(input instanceof Request ? input.url : input.toString());
      return globalThis.fetch(input, init);
    };
    const messages = [
      message('user', text('x'), ...content),
      ...(reply.length > 0 ? [message('assistant', ...reply), message('user', text('and?'))] : []),
    ];
    const { error } = await fail(modelAt(provider, server.url, { card, fetch }), callOf({ messages, tools: [LOOK] }));
    expect(error.message).toMatch(/^HTTP 400/);
    expect(asked).toHaveLength(1);
    return JSON.stringify(server.last.body);
  }

  it.each(Object.keys(MEDIA) as Kind[])('%s: as a file or in words', async (kind) => {
    const block = MEDIA[kind];
    for (const body of [await wire([block]), await wire([], looked(block))]) {
      const carried = CARRIED[provider].includes(kind);
      expect(body.includes(bytesOf(block))).toBe(carried);
      expect(body.includes('this media type is not supported by this model')).toBe(!carried);
    }
  });

  if (CARRIED[provider].includes('image')) {
    it('a message of nothing but an image', async () => {
      const messages = [message('user', MEDIA.image)];
      await fail(modelAt(provider, server.url), callOf({ messages }));
      const body = JSON.stringify(server.last.body);
      expect(body).toContain(PNG);
      expect(body).not.toContain('"content":[]');
    });
  }

  it('nothing that the card does not list', async () => {
    const body = await wire(Object.values(MEDIA), looked(...Object.values(MEDIA)), TEXT_ONLY);
    for (const block of Object.values(MEDIA)) expect(body).not.toContain(bytesOf(block));
    expect(body.split('was left out').length - 1).toBe(2 * Object.keys(MEDIA).length);
  });

  it('an image by its address, where the provider fetches it', async () => {
    const url = 'https://example.com/a.png';
    const body = await wire([file({ type: 'url', url, media_type: 'image/png' })]);
    expect(body.includes('was left out')).toBe(!FETCHES.includes(provider));
    expect(body).toContain(url);
  });

  it('never an address of another kind', async () => {
    const url = 'http://169.254.169.254/latest';
    for (const media_type of ['application/zip', 'audio/wav', 'video/mp4']) {
      expect(await wire([file({ type: 'url', url, media_type })])).toContain('was left out');
    }
  });

  it('takes back a file of its own without a fault', async () => {
    const body = await wire(
      [],
      [text('here'), MEDIA.image, file({ type: 'url', url: 'https://e.com/', media_type: 'image/png' })],
    );
    expect(body.includes(PNG)).toBe(provider === 'gemini');
    expect(body).toContain('[image/png');
  });
});
