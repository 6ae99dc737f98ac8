import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { call, toolResult, userMessage } from '../testing/event-builders.js';
import {
  atWork,
  conversations,
  image,
  pair,
  reply,
  textBlock,
  WordTokenizer,
  words,
} from '../testing/conversations.js';
import { TokenCounter } from './token-counter.js';

const tools = [{ name: 'search', description: words(20), input_schema: { type: 'object' } }];

describe('TokenCounter', () => {
  it('never tokenises a conversation whose bytes are below the limit', () => {
    const tokenizer = new WordTokenizer();
    const counter = new TokenCounter(tokenizer);
    const messages = [userMessage('u', words(50)), reply('r', pair('c', words(50)))];
    expect(counter.isBelow(1000, 'Be kind.', tools, messages)).toBe(true);
    expect(tokenizer.calls).toBe(0);
  });

  it('counts the largest messages first, and none that need not be', () => {
    const tokenizer = new WordTokenizer();
    const counter = new TokenCounter(tokenizer);
    const small = Array.from({ length: 20 }, (_, n) => userMessage(`s${n}`, 'hi'));
    expect(counter.isBelow(1000, '', [], [...small, userMessage('large', words(400))])).toBe(true);
    expect(tokenizer.units).toBe(words(400).length);
  });

  it('remembers what it counted, and asks again for nothing', () => {
    const tokenizer = new WordTokenizer();
    const counter = new TokenCounter(tokenizer);
    const messages = [userMessage('u', words(50)), reply('r', pair('c', words(50)))];
    const total = counter.total('Be kind.', tools, messages);
    const { calls } = tokenizer;
    expect(counter.total('Be kind.', tools, messages)).toBe(total);
    expect(counter.isBelow(total, 'Be kind.', tools, messages)).toBe(false);
    expect(counter.isBelow(total + 1, 'Be kind.', tools, messages)).toBe(true);
    expect(tokenizer.calls).toBe(calls);
  });

  it('counts again what still grows: open blocks, running results, calls that may be edited', () => {
    const counter = new TokenCounter(new WordTokenizer());
    const text = { ...textBlock('t', words(5)), finished_at: null };
    const result = toolResult('c', { output: [textBlock('c-0', words(5))], state: 'running' });
    const asked = call('d', { input: words(5), state: 'asking' });
    const msg = atWork('r', [text, result, asked]);
    const before = counter.message(msg);
    text.text = words(10);
    result.output.push(textBlock('c-1', words(10)));
    asked.input = words(10);
    expect(counter.message(msg) - before).toBe(5 + 10 + 5);
  });

  it('sees that a message it knew as finished was opened again', () => {
    const counter = new TokenCounter(new WordTokenizer());
    const msg = reply('r', pair('c', words(5)));
    const before = counter.message(msg);
    msg.content.push(textBlock('t', words(7)));
    expect(counter.message(msg)).toBe(before + 7);
  });

  it('takes a fixed number for files by their kind, and reads files of text', () => {
    const counter = new TokenCounter(new WordTokenizer());
    const file = (media_type: string, data = 'QUFB') => counter.data({ type: 'base64', media_type, data });
    expect(file('image/png')).toBe(file('IMAGE/WEBP', 'A'.repeat(4000)));
    expect(file('image/png')).toBeGreaterThan(file('application/zip'));
    expect(file('text/plain', Buffer.from(words(33)).toString('base64'))).toBe(33);
    expect(counter.message(userMessage('u', '')) + 1600).toBe(
      counter.message({ ...userMessage('u', ''), content: [image('i')] }),
    );
  });

  it('scales by the factor of the model', () => {
    expect(new TokenCounter(new WordTokenizer(), 1.5).text(words(10))).toBe(15);
    expect(new TokenCounter(new WordTokenizer(), 1.5).bound('12345')).toBe(8);
  });

  it('agrees with the whole count about what is below a limit', () => {
    fc.assert(
      fc.property(conversations, fc.integer({ min: 1, max: 2000 }), ({ history, reply: own }, limit) => {
        const messages = [...history, own];
        const isBelow = new TokenCounter(new WordTokenizer()).isBelow(limit, 'sys', tools, messages);
        expect(isBelow).toBe(new TokenCounter(new WordTokenizer()).total('sys', tools, messages) < limit);
      }),
    );
  });

  it('cuts a text at a number of tokens, between characters', () => {
    const counter = new TokenCounter(new WordTokenizer());
    expect(counter.head(words(10), 100)).toBe(words(10));
    expect(counter.head('anything', 0)).toBe('');
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), fc.integer({ min: 0, max: 40 }), (text, limit) => {
        const bytes = new TokenCounter({ count: (piece) => Buffer.byteLength(piece) });
        const head = bytes.head(text, limit);
        expect(text.startsWith(head)).toBe(true);
        expect(head.isWellFormed()).toBe(true);
        expect(Buffer.byteLength(head)).toBeLessThanOrEqual(limit);
        // A character may be left out that would just have fitted.
        if (head !== text) expect(Buffer.byteLength(head)).toBeGreaterThan(limit - 6);
      }),
    );
  });
});
