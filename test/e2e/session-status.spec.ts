import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { isDelta, isTerminal, occupy, Site, Talk } from '../chaos/matrix-support.js';
import { faultsOf, NOWHERE, refusal } from '../support/crud.js';

const SLOTS = 2;

let site: Site;
let url: string;
let talk: Talk;
let free: () => Promise<void> = async () => undefined;

beforeAll(async () => {
  site = await Site.open({ AERIE_WORKER_CONCURRENCY: String(SLOTS) }, { alone: true });
  ({ url } = await site.node());
}, 30_000);
afterAll(() => site.close());

beforeEach(async () => {
  talk = await Talk.open({ url }, { name: `talk ${Math.random()}` });
});
afterEach(async () => {
  await free();
  await talk.follower.close();
});

const SLEEPS = '/say zzz\n/sleep 600000';
const interrupt = (session_id: string) => talk.client.ok('POST', `/sessions/${session_id}/interrupt`);

async function expectStatus(status: string, task_state: string, run_id: string | null): Promise<void> {
  const { session_id } = talk;
  const path = `/sessions/${session_id}/status`;
  expect(await talk.client.ok('GET', path)).toEqual({ session_id, status, task_state, run_id });
  expect(await talk.client.ok('GET', `/sessions/${session_id}`)).toMatchObject({ status });
}

describe('the status of a session', () => {
  it('is idle when nothing was ever said', async () => {
    await expectStatus('idle', 'IDLE', null);
  });

  it('is running while a run is at work, and names it whatever is queued behind', async () => {
    const run_id = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    await expectStatus('running', 'RUNNING', run_id);
    await talk.say('later');
    await expectStatus('running', 'RUNNING', run_id);
    await interrupt(talk.session_id);
  });

  it('is running while a run waits for a free worker', async () => {
    free = await occupy({ url }, SLOTS);
    const { run_id, status } = await talk.say('hello');
    expect(status).toBe('queued');
    await expectStatus('running', 'RUNNING', run_id);
    await free();
    await talk.ended(run_id);
    await expectStatus('idle', 'FINISHED', run_id);
  });

  it.each([
    ['completed', 'hello', 'FINISHED'],
    ['failed', '/fail invalid_request', 'ERROR'],
  ])('tells that the last run is %s', async (status, text, task_state) => {
    const { run_id } = await talk.say(text);
    expect((await talk.ended(run_id)).status).toBe(status);
    await expectStatus('idle', task_state, run_id);
  });

  it('tells that the last run was interrupted, or cancelled before it started', async () => {
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    await talk.client.ok('POST', `/runs/${first}/cancel`);
    await talk.follower.until(isTerminal(first));
    await talk.ended(first);
    await expectStatus('idle', 'STOPPED', first);
    const second = await talk.say('later', { coalesce_ms: 60_000 });
    await expectStatus('running', 'RUNNING', second.run_id);
    await talk.client.ok('POST', `/runs/${second.run_id}/cancel`);
    await talk.follower.until(isTerminal(second.run_id));
    expect(await talk.settle()).toEqual(['interrupted', 'cancelled', 'completed']);
  });

  it('tells that a run is parked, also with a message behind it, and that it was answered', async () => {
    const parked = await talk.park();
    await expectStatus('awaiting_external_result', 'RUNNING', parked.id);
    const later = await talk.say('later');
    await expectStatus('awaiting_external_result', 'RUNNING', parked.id);
    expect((await talk.answer(parked, [parked.open_calls[0]?.tool_call_id ?? ''])).status).toBe(200);
    await talk.ended(later.run_id);
    await talk.follower.until(isTerminal(later.run_id));
    await expectStatus('idle', 'FINISHED', later.run_id);
  });

  it('is not idle when a parked run was answered and waits for a free worker', async () => {
    const parked = await talk.park();
    free = await occupy({ url }, SLOTS);
    await talk.answer(parked, [parked.open_calls[0]?.tool_call_id ?? '']);
    await expectStatus('running', 'RUNNING', parked.id);
    await free();
    await talk.ended(parked.id);
  });

  it('is there under the name of the session, and with its agent', async () => {
    const view = await talk.client.ok<{ session: { external_id: string } }>('GET', `/sessions/${talk.session_id}`);
    const path = `/sessions/${encodeURIComponent(view.session.external_id)}/status`;
    expect(await talk.client.ok('GET', path)).toMatchObject({ session_id: talk.session_id, status: 'idle' });
    expect(await talk.client.ok('GET', `${path}?agent_id=${talk.agent_id}`)).toMatchObject({ status: 'idle' });
    const other = await talk.client.request('GET', `${path}?agent_id=${NOWHERE}`);
    expect(refusal(other)).toEqual([404, 'session_not_found']);
  });
});

describe('POST /stop', () => {
  const DONE = [200, { status: 'success', message: 'Interrupt signal broadcasted.' }];
  const stop = async (body: object) => {
    const { status, body: answer } = await talk.client.request('POST', '/stop', body);
    return [status, answer];
  };

  it.each(['the id', 'its own name'])('stops a session by %s, and cancels what is queued', async (by) => {
    const view = await talk.client.ok<{ session: { id: string; external_id: string } }>(
      'GET',
      `/sessions/${talk.session_id}`,
    );
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const second = await talk.say('never said');
    const session_id = by === 'the id' ? view.session.id : view.session.external_id;
    expect(await stop({ user_id: 'alice', session_id, input: [{ anything: true }] })).toEqual(DONE);
    await talk.follower.until(isTerminal(first));
    expect(await talk.run(second.run_id)).toMatchObject({ status: 'cancelled', stop: { requested_by: 'alice' } });
    expect(await talk.settle()).toEqual(['interrupted', 'cancelled', 'completed']);
  });

  it('ends a parked run as interrupted', async () => {
    const parked = await talk.park();
    expect(await stop({ user_id: 'alice', session_id: talk.session_id })).toEqual(DONE);
    await talk.follower.until(isTerminal(parked.id));
    expect(await talk.ended(parked.id)).toMatchObject({ status: 'interrupted', open_calls: [] });
    expect(await talk.settle()).toEqual(['interrupted', 'completed']);
  });

  it('is a success for a session that is idle, and for one that nobody has', async () => {
    const { run_id } = await talk.say('hello');
    await talk.ended(run_id);
    for (const session_id of [talk.session_id, NOWHERE, 'no such name'])
      expect(await stop({ user_id: 'alice', session_id })).toEqual(DONE);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it("is forbidden for another user's session, which goes on", async () => {
    const run_id = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const bob = await Talk.open({ url }, { user: 'bob' });
    const answer = await bob.client.request('POST', '/stop', { user_id: 'alice', session_id: talk.session_id });
    expect(refusal(answer)).toEqual([403, 'forbidden']);
    expect(answer.body).toMatchObject({ error: { details: { required_scope: 'act_as' } } });
    const own = await bob.client.request('POST', '/stop', { user_id: 'bob', session_id: talk.session_id });
    expect(own.status).toBe(200);
    expect(await talk.run(run_id)).toMatchObject({ status: 'running', stop: null });
    await interrupt(talk.session_id);
    await bob.follower.close();
  });

  it.each([
    [{ session_id: 's' }, 'user_id'],
    [{ user_id: 'alice' }, 'session_id'],
    [{ user_id: 'alice', session_id: '' }, 'session_id'],
  ])('is refused with %j', async (body, path) => {
    expect(faultsOf(await talk.client.request('POST', '/stop', body))).toEqual([path]);
  });
});
