import { expect, it } from '@jest/globals';
import { ollamaFetch } from './ollama-fetch.js';

/** The text of a stream that comes in these pieces. */
async function read(pieces: readonly string[]): Promise<string> {
  const encoder = new TextEncoder();
  const left = pieces.values();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = left.next();
      if (done === true) controller.close();
      else controller.enqueue(encoder.encode(value));
    },
  });
  const answer = new Response(body, { headers: { 'content-type': 'application/x-ndjson' } });
  return (await ollamaFetch(() => Promise.resolve(answer))('http://ollama.example/api/chat')).text();
}

it('puts lines together that come in pieces, whatever the pieces are', async () => {
  const text = '{"message":{"content":"hé\\n"}}\n\n{"done":true}\n';
  for (let size = 1; size <= text.length; size++) {
    const pieces = Array.from({ length: Math.ceil(text.length / size) }, (_, n) =>
      text.slice(n * size, (n + 1) * size),
    );
    expect((await read(pieces)).trimEnd()).toBe(text.trimEnd());
  }
});

it('takes time in proportion to the length of a line', async () => {
  const before = process.cpuUsage();
  const pieces = Array.from({ length: 4096 }, () => 'x'.repeat(4096));
  await expect(read(pieces)).rejects.toThrow('The answer is not JSON.');
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1e6).toBeLessThan(4);
});
