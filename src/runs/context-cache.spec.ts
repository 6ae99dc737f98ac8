import { describe, expect, it } from '@jest/globals';
import type { Msg } from '../core/messages/message.js';
import { userMessage } from '../core/testing/event-builders.js';
import { ContextCache } from './context-cache.js';

const talk = (from: number, to: number): Msg[] =>
  Array.from({ length: to - from }, (_, n) => ({
    ...userMessage(`m${from + n}`),
    role: (from + n) % 2 === 0 ? 'user' : 'assistant',
  }));

const cache = new ContextCache(8);
const ids = (messages: readonly { id: string }[]) => messages.map(({ id }) => id);

describe('what is kept of a conversation', () => {
  it('begins where the view of the model begins', () => {
    expect(ids(cache.window(talk(0, 6), null))).toEqual(ids(talk(0, 6)));
    expect(ids(cache.window(talk(0, 6), { message_id: 'm3', block: 2 }))).toEqual(ids(talk(3, 6)));
    expect(ids(cache.window(talk(10, 12), { message_id: 'm3', block: 0 }))).toEqual(ids(talk(10, 12)));
  });

  it('begins with the same message over many replies when it is bounded', () => {
    let kept = talk(0, 8);
    const begins = new Set<string>();
    for (let n = 8; n < 40; n += 2) {
      kept = cache.window([...kept, ...talk(n, n + 2)], null);
      expect(kept.length).toBeLessThanOrEqual(8);
      expect(kept[0]?.role).toBe('user');
      begins.add(kept[0]?.id ?? '');
    }
    expect(begins.size).toBeLessThanOrEqual(8);
  });
});
