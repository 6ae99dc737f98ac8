import { expect, it } from '@jest/globals';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { NO_USAGE, type Usage } from '../messages/message.js';
import { isStorable } from '../messages/storable.js';
import { collect, request, tool } from '../testing/reply-harness.js';
import { finish, ScriptedModel, text, toolCall } from '../testing/scripted-model.js';
import { STRUCTURED_OUTPUT_TOOL } from './structured-output.js';

it('says nothing that the database cannot store, whatever models and tools say', async () => {
  const bad = tool('bad\0name', async function* () {
    yield { type: 'text', text: 'from\0tool \ud83d' };
    yield { type: 'text', text: '\ude00' };
  });
  const model = new ScriptedModel([
    [
      { type: 'text_start', id: 't' },
      { type: 'text_delta', id: 't', delta: 'nul\0 and half \ud83d' },
      { type: 'text_delta', id: 't', delta: '\ude00 pair' },
      { type: 'text_end', id: 't' },
      ...toolCall('id\0', 'bad\0name'),
      ...toolCall('ok', 'tool'),
      finish(),
    ],
    [
      { type: 'thinking_start', id: 'h' },
      { type: 'thinking_delta', id: 'h', delta: 'ends with half \ud83d' },
      { type: 'thinking_end', id: 'h', metadata: { provider: { 'sig\0': ['nul\0', 7, null] } } },
      { type: 'data', media_type: 'image/\0png', data: 'AA==' },
      finish(),
    ],
  ]);
  const named = tool('tool', async function* () {
    yield { type: 'text', text: 'a\0b' };
    yield { type: 'url', media_type: 'a/\0', url: 'https://x.test/\ud83d' };
    yield { type: 'data', media_type: '\ud83d', data: '\0' };
  });
  const req = request(model, { tools: [bad, named] });
  const events = await collect(req);
  checkGrammar(events, { complete: true });
  expect(reduce(events)).toEqual([req.reply.msg]);
  expect(isStorable(deepText(req.reply.msg))).toBe(true);
  const [said] = req.reply.msg.content;
  expect(said).toMatchObject({ type: 'text', text: 'nul\u{fffd} and half 😀 pair' });
});

it('gives an answer in a fixed form that can be stored', async () => {
  const structured = { type: 'object', additionalProperties: { type: 'string' } };
  const answer = toolCall('s', STRUCTURED_OUTPUT_TOOL, '{"a\\u0000":"\\ud83d"}');
  const req = request(new ScriptedModel([[...answer, finish()]]), { structured });
  const events = await collect(req);
  expect(events.at(-1)).toMatchObject({ structured_output: { 'a\u{fffd}': '\u{fffd}' } });
  expect(isStorable(deepText(req.reply.msg))).toBe(true);
});

it('counts nothing that cannot be counted', async () => {
  const nonsense = { input_tokens: 7, output_tokens: Number.NaN, cache_input_tokens: -1, reasoning_tokens: Infinity };
  const model = new ScriptedModel([[...text('Hi'), { type: 'finish', usage: nonsense as unknown as Usage }]]);
  const req = request(model);
  await collect(req);
  expect(req.reply.msg.usage).toEqual({ ...NO_USAGE, input_tokens: 7 });
});

/** All strings of a value, names included, as they are and not escaped. */
function deepText(value: unknown): string {
  if (typeof value === 'string') return value;
  if (value === null || typeof value !== 'object') return '';
  return Object.entries(value).flat().map(deepText).join('|');
}
