import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { checkGrammar } from '../../src/core/events/grammar.js';
import { type ApiClient, type EventStream, UNASKED } from '../support/client.js';
import { type Rig, startRig } from '../support/rig.js';

let rig: Rig;
let client: ApiClient;
let session_id: string;
let tab: EventStream;
let replies = 0;

/** About 8,000 tokens that the demo model does not read aloud. */
const FILE = Array.from({ length: 4000 }, (_, n) => `row ${n}`)
  .join('\n')
  .slice(0, 32_000);

beforeAll(async () => {
  rig = await startRig();
  client = rig.client();
  const { agent_id, ...session } = await client.demoSession(undefined, UNASKED);
  ({ session_id } = session);
  // Of 128,000 tokens.
  await client.ok('PATCH', `/agent/${agent_id}`, { context_config: { trigger_ratio: 0.3, reserve_ratio: 0.05 } });
  tab = await client.stream(session_id);
}, 60_000);
afterAll(async () => {
  tab.close();
  await rig.stop();
});

/** Says something that comes with a long file, and waits for the answer. */
async function say(text: string): Promise<void> {
  const source = { type: 'base64', media_type: 'text/plain', data: Buffer.from(FILE).toString('base64') };
  const content = [
    { type: 'data', source, name: 'rows.txt' },
    { type: 'text', text },
  ];
  await client.ok('POST', '/chat', { session_id, input: { content } });
  await tab.replies((replies += 1));
}

const lastText = async (): Promise<string> => {
  const { messages } = await client.messages(session_id);
  return JSON.stringify(messages.at(-1)?.content);
};

describe('a conversation that outgrows its window', () => {
  it('goes on behind a summary, on record as what it cost', async () => {
    for (let n = 0; n < 6; n += 1) await say(`/say answer ${n}`);
    const events = tab.seen.map(({ event }) => event);
    checkGrammar(events, { complete: true });
    const compressed = events.filter((event) => event.type === 'CUSTOM' && event.name === 'context_compressed');
    expect(compressed.length).toBeGreaterThanOrEqual(1);
    const ends = events.filter((event) => event.type === 'MODEL_CALL_END');
    const charged = ends.filter((event) => event.metadata?.purpose === 'compression');
    expect(charged).toHaveLength(compressed.length);
    expect(await rig.sql('SELECT count(*)::int AS n FROM model_calls')).toEqual([{ n: ends.length }]);
    // What was said is all there; only the model sees less.
    const { messages } = await client.messages(session_id);
    expect(messages).toHaveLength(12);
    expect(await lastText()).toContain('answer 5');
    // With each summary a part of the conversation was put aside, and the file in it.
    const [row] = await rig.sql(`SELECT state->'window_context' AS context FROM sessions`);
    expect(row?.context).toMatchObject({ compressions: compressed.length, offloads: 2 * compressed.length });
    const paths = await rig.sql(`SELECT path FROM offloads WHERE path LIKE 'context/%'`);
    expect(paths).toHaveLength(compressed.length);
  });

  it('can be read where it was put aside', async () => {
    const text = '/tool read_offloaded {"path":"context/1.jsonl","limit":60}\n/then\n/say read';
    await client.say(session_id, text);
    await tab.replies((replies += 1));
    const { messages } = await client.messages(session_id);
    const result = messages.at(-1)?.content.find((block) => block.type === 'tool_result');
    expect(result).toMatchObject({ state: 'success' });
    expect(JSON.stringify(result)).toMatch(/Characters 0 to 60 of \d+\. Go on with offset 60/);
  });
});
