import { createOpenAI } from '@ai-sdk/openai';
import { expect, it } from '@jest/globals';
import { callOf } from '../../../test/support/model-calls.js';
import { AiSdkChatModel } from './ai-sdk-model.js';
import { commonSettings } from './options.js';

const DELTAS = 10_000;
const ROUNDS = 5;
/** Four times of what is promised, since tests run beside others; `npm run bench -- model-path` holds it to the promise. */
const LIMIT_US = 60;

const frame = (delta: object, finish_reason: string | null = null): Uint8Array =>
  new TextEncoder().encode(
    `data: ${JSON.stringify({ id: 'c', created: 1, model: 'm', choices: [{ index: 0, delta, finish_reason }] })}\n\n`,
  );

/** Answers with one stream in this process. */
function scripted(): Promise<Response> {
  const delta = frame({ content: 'word ' });
  let sent = 0;
  const body = new ReadableStream<Uint8Array>({
    pull(controller) {
      sent += 1;
      if (sent <= DELTAS) return controller.enqueue(delta);
      controller.enqueue(frame({}, 'stop'));
      controller.close();
    },
  });
  return Promise.resolve(new Response(body, { headers: { 'content-type': 'text/event-stream' } }));
}

/** Processor time of this process in microseconds a delta. */
async function cost(run: () => Promise<number>): Promise<number> {
  const before = process.cpuUsage();
  expect(await run()).toBe(DELTAS);
  const { user, system } = process.cpuUsage(before);
  return (user + system) / DELTAS;
}

it('adds little to what the provider package needs for a delta', async () => {
  const model = createOpenAI({ apiKey: 'k', baseURL: 'http://in.process/v1', fetch: scripted }).chat('m');
  const ours = new AiSdkChatModel(model, {
    namespace: 'openai',
    mapParameters: (parameters) => ({ settings: commonSettings(parameters), provider: {} }),
    media: { input_types: null, carries: [] },
    thinking: 'signed',
  });
  const runBare = async (): Promise<number> => {
    const { stream } = await model.doStream({ prompt: [{ role: 'user', content: [{ type: 'text', text: 'x' }] }] });
    let seen = 0;
    for await (const part of stream) if (part.type === 'text-delta') seen += 1;
    return seen;
  };
  const runOurs = async (): Promise<number> => {
    let seen = 0;
    for await (const part of ours.stream(callOf())) if (part.type === 'text_delta') seen += 1;
    return seen;
  };
  let least = Number.POSITIVE_INFINITY;
  for (let round = 0; round < ROUNDS; round += 1) {
    const bare = await cost(runBare);
    least = Math.min(least, (await cost(runOurs)) - bare);
  }
  expect(least).toBeLessThan(LIMIT_US);
});
