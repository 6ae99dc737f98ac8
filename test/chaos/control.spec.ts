import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ApiClient } from '../support/client.js';
import { eventually } from '../support/eventually.js';
import { Follower } from './follower.js';
import { ended, expectAgreement, expectOneEndEach, runsOf } from './looks.js';
import { Stage } from './stage.js';
import { UNASKED } from '../support/client.js';

let stage: Stage;
let client: ApiClient;
let session_id: string;
let follower: Follower;

beforeEach(async () => {
  stage = await Stage.open();
  client = stage.client();
  ({ session_id } = await client.demoSession(undefined, UNASKED));
  follower = new Follower(client, session_id);
});
afterEach(async () => {
  await follower.close();
  await stage.close();
});

const resultOf = async (call: string) => {
  const { messages } = await client.messages(session_id);
  const blocks = messages.flatMap(({ content }) => content);
  return blocks.find((block) => block.type === 'tool_result' && block.id === call);
};

describe('a run that waits for an answer from outside', () => {
  it('outlives workers, API and Redis, takes one answer, and ends', async () => {
    const workers = [await stage.worker(), await stage.worker()];
    const script = '/say before\n/tool external {"ms":0,"tag":"x"}\n/then\n/say after';
    const { run_id } = await client.say(session_id, script);
    const { event } = await follower.until((it) => it.type === 'REQUIRE_EXTERNAL_EXECUTION');
    const call = event.type === 'REQUIRE_EXTERNAL_EXECUTION' ? event.tool_calls[0] : undefined;
    await eventually(async () => (await runsOf(stage, session_id))[0]?.status === 'waiting' || undefined);
    await Promise.all([...workers.map((worker) => worker.kill()), stage.api.kill(), stage.killRedis()]);
    await stage.reviveRedis();
    await Promise.all([stage.startApi(), stage.worker(), stage.worker()]);

    const [run] = await runsOf(stage, session_id);
    expect(run?.status).toBe('waiting');
    const input = {
      type: 'EXTERNAL_EXECUTION_RESULT',
      reply_id: run?.reply_id,
      execution_results: [{ id: call?.id, name: 'external', output: 'from outside' }],
    };
    const answers = await Promise.all([1, 2].map(() => client.request('POST', '/chat', { session_id, input })));
    // The same answer twice is one answer.
    expect(answers.map(({ status, body }) => [status, body['run_id']])).toEqual(Array(2).fill([200, run_id]));
    expect(await ended(stage, run_id)).toMatchObject({ status: 'completed' });
    await expectAgreement(follower, client);
    await expectOneEndEach(follower, client);
    expect(await resultOf(call?.id ?? '')).toMatchObject({ state: 'success', output: [{ text: 'from outside' }] });
    expect((await client.request('POST', '/chat', { session_id, input })).status).toBe(200);
    const other = { ...input, execution_results: [{ id: call?.id, name: 'external', output: 'something else' }] };
    expect((await client.request('POST', '/chat', { session_id, input: other })).status).toBe(409);
    expect(await resultOf(call?.id ?? '')).toMatchObject({ output: [{ text: 'from outside' }] });
    expect(await stage.ledger.executions()).toEqual([]);
  });
});

describe('a run that is cancelled', () => {
  it('ends although its tool hears nothing of it', async () => {
    await stage.worker();
    const { run_id } = await client.say(session_id, '/tool stubborn {"ms":60000,"tag":"x"}\n/then\n/say after');
    await eventually(async () => ((await stage.ledger.of('x')).length > 0 ? true : undefined));
    expect((await client.request('POST', `/runs/${run_id}/cancel`)).status).toBe(202);
    expect(await ended(stage, run_id)).toMatchObject({ status: 'interrupted' });
    await expectAgreement(follower, client);
    await expectOneEndEach(follower, client);
    expect(follower.ends().map((end) => end.finished_reason)).toEqual(['interrupted']);
  });

  it('ends as such when its owner dies before it hears of it', async () => {
    const owner = await stage.worker();
    const { run_id } = await client.say(session_id, '/stream 200 50');
    await follower.until((event) => event.type === 'TEXT_BLOCK_DELTA');
    owner.freeze();
    expect((await client.request('POST', `/runs/${run_id}/cancel`)).status).toBe(202);
    await owner.kill();
    await stage.worker();
    expect(await ended(stage, run_id)).toMatchObject({ status: 'interrupted', attempt: 2 });
    await expectAgreement(follower, client);
    await expectOneEndEach(follower, client);
    expect(follower.ends().map((end) => end.finished_reason)).toEqual(['interrupted']);
  });
});
