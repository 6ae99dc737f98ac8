import { describe, expect, it, jest } from '@jest/globals';
import fc from 'fast-check';
import type { ToolChunk } from '../agent/tool.js';
import { MemoryOffloads, WordTokenizer, words } from '../testing/conversations.js';
import { OffloadRefused } from './offload-store.js';
import { type LimiterOptions, ResultLimiter } from './result-limiter.js';
import { TokenCounter } from './token-counter.js';

const limiterOf = (rest: Partial<LimiterOptions> = {}) =>
  new ResultLimiter({
    limit: 100,
    counter: new TokenCounter(new WordTokenizer()),
    offload: null,
    name: 'r-c',
    ...rest,
  });

const text = (value: string): ToolChunk => ({ type: 'text', text: value });
const data = (length: number, media_type = 'image/png'): ToolChunk => ({
  type: 'data',
  media_type,
  data: 'QUFB'.repeat(Math.ceil(length / 4)),
});
const textOf = (chunks: readonly ToolChunk[]): string =>
  chunks.map((chunk) => (chunk.type === 'text' ? chunk.text : `<${chunk.media_type}>`)).join('');

describe('ResultLimiter', () => {
  it('passes on what fits as it comes, without counting as long as its bytes do', async () => {
    const tokenizer = new WordTokenizer();
    const limiter = limiterOf({ counter: new TokenCounter(tokenizer), offload: new MemoryOffloads() });
    expect(limiter.take(text('one '))).toEqual([text('one ')]);
    expect(limiter.take(text('two'))).toEqual([text('two')]);
    expect(limiter.take(text(''))).toEqual([]);
    expect(await limiter.finish()).toEqual({ text: '', offloads: 0 });
    expect(tokenizer.calls).toBe(0);
  });

  it('counts when the bytes do not do, and passes on what still fits', async () => {
    const limiter = limiterOf();
    for (let n = 0; n < 9; n += 1) expect(textOf(limiter.take(text(`${words(10)} `)))).toBe(`${words(10)} `);
    expect(await limiter.finish()).toEqual({ text: '', offloads: 0 });
  });

  it('holds files that cost next to no tokens within bounds, and puts the next ones aside', async () => {
    const offload = new MemoryOffloads();
    const limiter = limiterOf({ offload, limit: 50_000 });
    const file = data(1_000_000, 'application/zip');
    const passed = Array.from({ length: 100 }, () => limiter.take(file).length);
    expect(passed.filter((it) => it === 1)).toHaveLength(20);
    expect((await limiter.finish()).offloads).toBe(13);
  });

  it('leaves out an address that is none', async () => {
    const limiter = limiterOf({ limit: 50_000 });
    const address = (length: number): ToolChunk => ({ type: 'url', media_type: 'image/png', url: 'u'.repeat(length) });
    expect(limiter.take(address(8192))).toHaveLength(1);
    expect(limiter.take(address(8193))).toEqual([]);
    expect((await limiter.finish()).text).toContain('Addresses of files that were left out: 1.');
  });

  it('puts the rest aside and says how much it is and where', async () => {
    const offload = new MemoryOffloads();
    const limiter = limiterOf({ offload });
    const said = `${words(80)} ${words(300)}`;
    const passed = textOf(limiter.take(text(said)));
    expect(limiter.take(text(' and more'))).toEqual([]);
    const end = await limiter.finish();
    expect(passed.split(' ').length).toBeGreaterThan(90);
    expect(passed.split(' ').length).toBeLessThanOrEqual(100);
    const [[path, item] = []] = offload.items;
    expect(item).toMatchObject({ kind: 'tool_result', name: 'r-c', media_type: 'text/plain' });
    expect(`${passed}${String(item?.content)}`).toBe(`${said} and more`);
    const left = said.length + ' and more'.length - passed.length;
    expect(end).toEqual({
      offloads: 1,
      text: `\n<<<TRUNCATED>>>\n<system-reminder>The rest of this output, ${left} characters, was left out. It is at ${path}: read it with read_offloaded.</system-reminder>`,
    });
  });

  it.each([
    ['nowhere to put it', null],
    ['no room for it', new OffloadRefused('this session has no room left')],
  ])('says that the rest is gone when there is %s', async (_, refusal) => {
    const offload = refusal === null ? null : Object.assign(new MemoryOffloads(), { refusal });
    const onError = jest.fn();
    const limiter = limiterOf({ offload, limit: 1, onError });
    limiter.take(text(words(40)));
    limiter.take(data(2_000_000));
    const end = await limiter.finish();
    expect(end.offloads).toBe(0);
    expect(end.text).toMatch(/The rest of this output, 1\d\d characters, was left out and is gone\./);
    expect(end.text).toContain('A file (image/png, 1500000 bytes) is gone.');
    expect(onError).toHaveBeenCalledTimes(refusal === null ? 0 : 2);
  });

  it('keeps a bounded rest, up to its first gap, and counts what is gone', async () => {
    const offload = new MemoryOffloads();
    const limiter = limiterOf({ offload, limit: 1 });
    const piece = 'ä'.repeat(1_000_000);
    for (let n = 0; n < 8; n += 1) limiter.take(text(piece));
    const end = await limiter.finish();
    const [item] = offload.items.values();
    const kept = String(item?.content);
    expect(Buffer.byteLength(kept)).toBeLessThanOrEqual(10_485_760);
    expect(kept).toBe('ä'.repeat(kept.length));
    const [, hidden = 0, gone = 0] = (/output, (\d+) char.*the last (\d+) char/.exec(end.text) ?? []).map(Number);
    expect(hidden - gone).toBe(kept.length);
    expect(gone).toBeGreaterThan(2_000_000);
  });

  it('puts large files aside and lets what comes after them pass', async () => {
    const offload = new MemoryOffloads();
    const limiter = limiterOf({ offload, limit: 5000 });
    expect(limiter.take(data(400))).toHaveLength(1);
    expect(limiter.take(data(1_200_000, 'image/<b>'))).toEqual([]);
    expect(limiter.take(text('after'))).toEqual([text('after')]);
    const end = await limiter.finish();
    const [path] = offload.items.keys();
    expect(end).toEqual({
      offloads: 1,
      text: `\n<system-reminder>A file (image/ b, 900000 bytes) is at ${path}.</system-reminder>`,
    });
  });

  it('takes no more files than it has room for', async () => {
    const offload = new MemoryOffloads();
    const limiter = limiterOf({ offload, limit: 10 });
    for (let n = 0; n < 30; n += 1)
      limiter.take({ type: 'data', media_type: 'a/b', data: `QUF${n % 10}QUF${n}==`.slice(0, 8) });
    limiter.take({ type: 'url', media_type: 'a/b', url: 'https://x.test/' });
    const end = await limiter.finish();
    expect(end.offloads).toBe(20);
    expect(end.text).toContain('Further files that are gone: 10. Addresses of files that were left out: 1.');
  });

  it('loses and cuts no character, however the output is cut into chunks', async () => {
    const chunks = fc.array(fc.string({ unit: 'binary', maxLength: 80 }), { maxLength: 12 });
    await fc.assert(
      fc.asyncProperty(chunks, fc.integer({ min: 1, max: 200 }), async (pieces, limit) => {
        const offload = new MemoryOffloads();
        const counter = new TokenCounter({ count: (it) => Buffer.byteLength(it) });
        const limiter = limiterOf({ offload, limit, counter });
        const passed = pieces.map((piece) => textOf(limiter.take(text(piece)))).join('');
        await limiter.finish();
        const [item] = offload.items.values();
        expect(passed.isWellFormed()).toBe(true);
        expect(Buffer.byteLength(passed)).toBeLessThanOrEqual(limit);
        expect(passed + String(item?.content ?? '')).toBe(
          passed + pieces.join('').slice(passed.length).replaceAll('\0', '\u{fffd}'),
        );
      }),
    );
  });
});
