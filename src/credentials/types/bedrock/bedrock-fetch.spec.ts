import { expect, it } from '@jest/globals';
import { bedrockFetch } from './bedrock-fetch.js';

const frame = (text: string): Buffer => {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(4 + text.length);
  return Buffer.concat([length, Buffer.from(text)]);
};

/** The pieces in which a stream is passed on that comes in these. */
async function passed(pieces: readonly Buffer[], type = 'application/vnd.amazon.eventstream'): Promise<Buffer[]> {
  const left = pieces.values();
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      const { done, value } = left.next();
      if (done === true) controller.close();
      else controller.enqueue(value);
    },
  });
  const answer = new Response(body, { headers: { 'content-type': type } });
  const response = await bedrockFetch(() => Promise.resolve(answer))('https://bedrock.example/');
  const seen: Buffer[] = [];
  for await (const piece of response.body as unknown as AsyncIterable<Uint8Array>) seen.push(Buffer.from(piece));
  return seen;
}

const cut = (bytes: Buffer, size: number): Buffer[] =>
  Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) => bytes.subarray(n * size, (n + 1) * size));

it('passes frames on whole, whatever pieces they come in, and what is left at the end', async () => {
  const frames = [frame('one'), frame(''), frame('three and more')];
  const all = Buffer.concat([...frames, frame('never ended').subarray(0, 9)]);
  for (let size = 1; size <= all.length; size++) {
    const pieces = await passed(cut(all, size));
    expect(Buffer.concat(pieces)).toEqual(all);
    let at = 0;
    const starts = [0, ...frames.map((it) => (at += it.length))];
    let from = 0;
    for (const piece of pieces) {
      expect(starts).toContain(from);
      from += piece.length;
    }
  }
});

it('leaves other answers alone', async () => {
  expect(await passed([Buffer.from('{'), Buffer.from('}')], 'application/json')).toHaveLength(2);
});

it('takes time in proportion to the length of a frame, and none that is too long', async () => {
  const before = process.cpuUsage();
  expect(await passed(cut(frame('x'.repeat(16 * 1024 * 1024)), 4096))).toHaveLength(1);
  const { user, system } = process.cpuUsage(before);
  expect((user + system) / 1e6).toBeLessThan(4);
  await expect(passed([Buffer.from([0x7f, 0, 0, 0])])).rejects.toMatchObject({ name: 'ModelError', type: 'upstream' });
});
