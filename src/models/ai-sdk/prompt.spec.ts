import type { LanguageModelV4Prompt } from '@ai-sdk/provider';
import { describe, expect, it } from '@jest/globals';
import type { ContentBlock, DataBlock, DataSource, ToolResultBlock } from '../../core/messages/block.js';
import type { Msg } from '../../core/messages/message.js';
import { type PromptContext, toPrompt } from './prompt.js';

const NOW = '2026-11-20T10:00:00.000Z';
const span = { created_at: NOW, finished_at: NOW };

function msg(role: Msg['role'], ...content: ContentBlock[]): Msg {
  const nothing = { finished_reason: null, usage: null, error: null, structured_output: null };
  return { id: role, name: role, role, content, metadata: {}, ...span, ...nothing };
}

const text = (value: string, metadata?: Record<string, unknown>) => ({
  type: 'text' as const,
  id: 't',
  text: value,
  ...span,
  metadata,
});
const data = (source: DataSource, name: string | null = null): DataBlock => ({
  type: 'data',
  id: 'd',
  source,
  name,
  ...span,
});
const base64 = (media_type: string, bytes = 'AAAA'): DataSource => ({ type: 'base64', data: bytes, media_type });
const url = (media_type: string): DataSource => ({ type: 'url', url: 'https://e.com/X.png', media_type });
const thinking = (metadata?: Record<string, unknown>): ContentBlock => ({
  type: 'thinking',
  id: 'r',
  thinking: 'hm',
  ...span,
  metadata,
});
const call = (id: string, input = '{"n":1}', metadata?: Record<string, unknown>): ContentBlock => ({
  type: 'tool_call',
  id,
  name: 'f',
  input,
  state: 'finished',
  suggested_rules: [],
  ...span,
  metadata,
});
const result = (id: string, state: ToolResultBlock['state'], ...output: ToolResultBlock['output']): ContentBlock => ({
  type: 'tool_result',
  id,
  name: 'f',
  state,
  output,
  ...span,
});
const hint = (value: string): ContentBlock => ({ type: 'hint', id: 'h', hint: value, source: null, ...span });

const said = (value: string) => ({ type: 'text', text: value });
const called = (toolCallId: string, input: unknown = { n: 1 }) => ({
  type: 'tool-call',
  toolCallId,
  toolName: 'f',
  input,
});
const answered = (toolCallId: string, value: string, type = 'text') => ({
  type: 'tool-result',
  toolCallId,
  toolName: 'f',
  output: { type, value },
});
const NO_RESULT = 'This tool call was not completed, so it has no result.';
const signed = { provider_options: { openai: { itemId: 'i' } } };
const providerOptions = signed.provider_options;

const CONTEXT: PromptContext = {
  rules: { input_types: null, carries: ['image/*', 'audio/wav', 'application/pdf'] },
  urls: { 'image/*': [/^https?:\/\/.*$/] },
  thinking: 'signed',
};
const reminder = (file: string, reason: string) =>
  said(`<system-reminder>The file [${file}] was left out: ${reason}.</system-reminder>`);
const UNREAD = 'this media type is not supported by this model';
const UNREACHED = 'this model cannot fetch files of this media type from this address';

const CASES: [string, Msg[], unknown[]][] = [
  ['a question', [msg('user', text('hi'), text(''))], [{ role: 'user', content: [said('hi')] }]],
  ['an empty message', [msg('user'), msg('assistant', text(''))], []],
  ['a system message', [msg('system', text('a'), text('b'))], [{ role: 'system', content: 'a\nb' }]],
  [
    'several iterations in one reply',
    [
      msg('user', text('q')),
      msg(
        'assistant',
        text('one'),
        call('1'),
        call('2'),
        result('2', 'success', text('B')),
        result('1', 'success', text('A'), text('A2')),
        text('two'),
        call('3'),
        result('3', 'success'),
        text('end'),
      ),
    ],
    [
      { role: 'user', content: [said('q')] },
      { role: 'assistant', content: [said('one'), called('1'), called('2')] },
      { role: 'tool', content: [answered('1', 'A\nA2'), answered('2', 'B')] },
      { role: 'assistant', content: [said('two'), called('3')] },
      { role: 'tool', content: [answered('3', '')] },
      { role: 'assistant', content: [said('end')] },
    ],
  ],
  [
    'hints, also between a call and its result',
    [
      msg(
        'assistant',
        hint('woken'),
        text('a'),
        hint('note'),
        call('1'),
        hint('late'),
        result('1', 'success', text('A')),
      ),
    ],
    [
      { role: 'user', content: [said('woken')] },
      { role: 'assistant', content: [said('a')] },
      { role: 'user', content: [said('note')] },
      { role: 'assistant', content: [called('1')] },
      { role: 'tool', content: [answered('1', 'A')] },
      { role: 'user', content: [said('late')] },
    ],
  ],
  [
    'calls without a result',
    [msg('assistant', call('1'), call('2'), result('1', 'success', text('A'))), msg('user', text('next'))],
    [
      { role: 'assistant', content: [called('1'), called('2')] },
      { role: 'tool', content: [answered('1', 'A'), answered('2', NO_RESULT, 'error-text')] },
      { role: 'user', content: [said('next')] },
    ],
  ],
  [
    'results that are no success',
    [
      msg(
        'assistant',
        call('1'),
        call('2'),
        call('3'),
        call('4'),
        result('1', 'error', text('E')),
        result('2', 'denied'),
        result('3', 'interrupted', text('part')),
        result('4', 'running', text('part')),
      ),
    ],
    [
      { role: 'assistant', content: [called('1'), called('2'), called('3'), called('4')] },
      {
        role: 'tool',
        content: [
          answered('1', 'E', 'error-text'),
          answered('2', 'The tool call was denied.', 'error-text'),
          answered('3', 'part', 'error-text'),
          answered('4', 'part\nThe tool call did not finish.', 'error-text'),
        ],
      },
    ],
  ],
  [
    'a result without a call',
    [msg('assistant', result('9', 'success', text('A')))],
    [{ role: 'user', content: [said('Result of the tool f: A')] }],
  ],
  [
    'faulty input',
    [msg('assistant', call('1', '{"a'), call('2', '[1]'), call('3', ''))],
    [
      { role: 'assistant', content: [called('1', {}), called('2', {}), called('3', {})] },
      { role: 'tool', content: ['1', '2', '3'].map((id) => answered(id, NO_RESULT, 'error-text')) },
    ],
  ],
  [
    'provider metadata, and reasoning only with it',
    [msg('assistant', thinking(), thinking(signed), text('a', signed), call('1', '{"n":1}', signed))],
    [
      {
        role: 'assistant',
        content: [
          { type: 'reasoning', text: 'hm', providerOptions },
          { ...said('a'), providerOptions },
          { ...called('1'), providerOptions },
        ],
      },
      { role: 'tool', content: [answered('1', NO_RESULT, 'error-text')] },
    ],
  ],
  [
    'files',
    [
      msg(
        'user',
        data(base64('image/PNG'), 'a.png'),
        data(base64('application/pdf')),
        data(base64('text/csv', Buffer.from('a;b').toString('base64')), 'a.csv'),
        data(base64('application/zip'), 'a.zip'),
        data(url('image/png')),
        data(url('audio/wav')),
      ),
    ],
    [
      {
        role: 'user',
        content: [
          { type: 'file', mediaType: 'image/png', filename: 'a.png', data: { type: 'data', data: 'AAAA' } },
          { type: 'file', mediaType: 'application/pdf', data: { type: 'data', data: 'AAAA' } },
          said('a.csv:\na;b'),
          reminder('application/zip a.zip', UNREAD),
          { type: 'file', mediaType: 'image/png', data: { type: 'url', url: new URL('https://e.com/X.png') } },
          reminder('audio/wav https://e.com/X.png', UNREACHED),
        ],
      },
    ],
  ],
  [
    'files out of tools',
    [msg('assistant', call('1'), result('1', 'success', text('see'), data(base64('image/png'))), text('nice'))],
    [
      { role: 'assistant', content: [called('1')] },
      { role: 'tool', content: [answered('1', 'see\n[image/png]')] },
      {
        role: 'user',
        content: [
          said('Output of the tool f:'),
          { type: 'file', mediaType: 'image/png', data: { type: 'data', data: 'AAAA' } },
        ],
      },
      { role: 'assistant', content: [said('nice')] },
    ],
  ],
];

describe('toPrompt', () => {
  it.each(CASES)('converts %s', (_, messages, expected) => {
    const prompt: LanguageModelV4Prompt = toPrompt('', messages, CONTEXT);
    expect(prompt).toEqual(expected);
  });

  it('puts the system prompt first', () => {
    expect(toPrompt('Be kind.', [msg('user', text('hi'))], CONTEXT)[0]).toEqual({
      role: 'system',
      content: 'Be kind.',
    });
  });

  it('gives back plain thinking to providers that want it', () => {
    const reply = msg('assistant', thinking(), thinking(signed), text('a'));
    const [message] = toPrompt('', [reply], { ...CONTEXT, thinking: 'all' });
    expect(message?.content).toEqual([
      { type: 'reasoning', text: 'hm' },
      { type: 'reasoning', text: 'hm', providerOptions },
      said('a'),
    ]);
  });
});
