import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { Follower } from './follower.js';
import { ended, expectAgreement, expectOneEndEach } from './looks.js';
import { Stage } from './stage.js';
import { UNASKED } from '../support/client.js';

let stage: Stage;
let follower: Follower | undefined;

beforeEach(async () => {
  stage = await Stage.open({ env: { AERIE_DRAIN_SECONDS: '1' } });
});
afterEach(async () => {
  await follower?.close();
  await stage.close();
});

it('workers that are asked to stop while they find back to Redis go in time, and their work is gone on with', async () => {
  const client = stage.client();
  const { session_id } = await client.demoSession(undefined, UNASKED);
  follower = new Follower(client, session_id);
  const workers = await Promise.all([stage.worker(), stage.worker(), stage.worker()]);
  const { run_id } = await client.say(session_id, '/say before\n/stream 100 50\n/say after');
  await follower.until((event) => event.type === 'TEXT_BLOCK_DELTA' && event.delta === 'tok3 ');
  await stage.killRedis();
  await stage.reviveRedis();
  expect(await Promise.all(workers.map((worker) => worker.stop()))).toEqual([0, 0, 0]);
  await stage.worker();
  expect(await ended(stage, run_id)).toMatchObject({ status: 'completed' });
  await expectAgreement(follower, client);
  await expectOneEndEach(follower, client);
});
