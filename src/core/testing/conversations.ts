import fc from 'fast-check';
import type { ContentBlock, DataBlock, HintBlock, TextBlock } from '../messages/block.js';
import type { Msg } from '../messages/message.js';
import type { OffloadItem, OffloadPiece, OffloadStore } from '../context/offload-store.js';
import type { Tokenizer } from '../context/tokenizer.js';
import { at, call, toolResult, userMessage } from './event-builders.js';

const times = { created_at: at(0), finished_at: at(0) };

export const textBlock = (id: string, text: string): TextBlock => ({ type: 'text', id, text, ...times });
export const hintBlock = (id: string, hint: string, source: string | null = null): HintBlock => ({
  type: 'hint',
  id,
  hint,
  source,
  ...times,
});
export const image = (id: string, name: string | null = null): DataBlock => ({
  type: 'data',
  id,
  source: { type: 'base64', data: Buffer.from(id).toString('base64'), media_type: 'image/png' },
  name,
  ...times,
});

export const reply = (id: string, content: ContentBlock[], rest: Partial<Msg> = {}): Msg => ({
  ...userMessage(id),
  name: 'agent',
  role: 'assistant',
  content,
  finished_reason: 'completed',
  ...rest,
});

/** A reply that is at work. */
export const atWork = (id: string, content: ContentBlock[]): Msg =>
  reply(id, content, { finished_at: null, finished_reason: null });

/** A call that was run, and its result. */
export const pair = (id: string, output: string): ContentBlock[] => [
  call(id, { state: 'finished' }),
  toolResult(id, { output: [textBlock(`${id}-0`, output)] }),
];

/** A word is a token; counts how often it was asked, and for how much. */
export class WordTokenizer implements Tokenizer {
  calls = 0;
  units = 0;

  count(text: string): number {
    this.calls += 1;
    this.units += text.length;
    return text.split(/\s+/).filter(Boolean).length;
  }
}

/** That many tokens of a `WordTokenizer`. */
export const words = (count: number): string => 'word '.repeat(count).trim();

/** An offload store in memory; `refusal` is what the next puts throw. */
export class MemoryOffloads implements OffloadStore {
  readonly items = new Map<string, OffloadItem>();
  refusal: Error | null = null;

  async put(item: OffloadItem): Promise<{ path: string }> {
    if (this.refusal !== null) throw this.refusal;
    const key = item.kind === 'data' ? Buffer.from(item.content).toString('hex').slice(0, 40) : item.name;
    const path = `${item.kind}/${key}`;
    this.items.set(path, item);
    return { path };
  }

  async read(path: string, offset: number, limit: number): Promise<OffloadPiece | null> {
    const item = this.items.get(path);
    if (item === undefined) return null;
    const { media_type, content } = item;
    if (typeof content !== 'string') return { media_type, text: null, total: content.length };
    const characters = [...content];
    return { media_type, text: characters.slice(offset, offset + limit).join(''), total: characters.length };
  }
}

const size = fc.integer({ min: 0, max: 60 });

/** One turn of an agent: what it says, its calls, and their results in any order, with hints between them. */
const turn = fc.record({
  text: fc.option(size),
  thinks: fc.boolean(),
  calls: fc.array(size, { minLength: 1, maxLength: 3 }),
  reversed: fc.boolean(),
  hint: fc.option(fc.constantFrom('before', 'within', 'behind')),
});
type Turn = typeof turn extends fc.Arbitrary<infer T> ? T : never;

function turnBlocks({ text, thinks, calls, reversed, hint }: Turn, key: string): ContentBlock[] {
  const pairs = calls.map((length, index) => pair(`${key}-c${index}`, words(length)));
  const results = pairs.flatMap(([, result]) => (result === undefined ? [] : [result]));
  if (reversed) results.reverse();
  const note = hintBlock(`${key}-h`, 'note');
  return [
    ...(hint === 'before' ? [note] : []),
    ...(thinks ? [{ type: 'thinking' as const, id: `${key}-k`, thinking: 'so', ...times }] : []),
    ...(text === null ? [] : [textBlock(`${key}-t`, words(text))]),
    ...pairs.flatMap(([one]) => (one === undefined ? [] : [one])),
    ...(hint === 'within' ? [note] : []),
    ...results,
    ...(hint === 'behind' ? [note] : []),
  ];
}

const turns = fc.array(turn, { maxLength: 5 });
const said = fc.array(fc.record({ asked: fc.array(size, { minLength: 1, maxLength: 3 }), turns }), { maxLength: 6 });

/** A conversation before a reply, and the reply after some of its turns. */
export const conversations = fc.record({ said, asked: size, turns }).map((it) => ({
  history: [
    ...it.said.flatMap(({ asked, turns: done }, n): Msg[] => [
      ...asked.map((length, index) => userMessage(`u${n}-${index}`, words(length))),
      reply(`r${n}`, [
        ...done.flatMap((one, index) => turnBlocks(one, `r${n}-${index}`)),
        textBlock(`r${n}-e`, 'done'),
      ]),
    ]),
    userMessage('u', words(it.asked)),
  ],
  reply: atWork(
    'r',
    it.turns.flatMap((one, index) => turnBlocks(one, `r-${index}`)),
  ),
}));
