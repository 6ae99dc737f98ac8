import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { reduce } from '../../src/core/events/reducer.js';
import type { NodeProcess } from '../chaos/node-process.js';
import { isTerminal, type RunBody, Site, Talk } from '../chaos/matrix-support.js';
import { ApiClient } from '../support/client.js';
import { refusal } from '../support/crud.js';

let site: Site;
let node: NodeProcess;
let talk: Talk;

beforeAll(async () => {
  site = await Site.open({}, { alone: true });
  node = await site.node();
}, 30_000);
afterAll(() => site.close());

beforeEach(async () => {
  talk = await Talk.open(node);
});
afterEach(() => talk.follower.close());

const idsOf = (run: RunBody) => run.open_calls.map((call) => call.tool_call_id);

const results = async () => {
  const { messages } = await talk.client.messages(talk.session_id);
  return messages.flatMap(({ content }) => content).filter((block) => block.type === 'tool_result');
};

const texts = async () =>
  (await results()).map(({ state, output }) => [
    state,
    ...output.map((it) => (it.type === 'text' ? it.text : it.type)),
  ]);

describe('a run that waits for results from outside', () => {
  it('names its open calls, keeps no lease, and goes on with the answer', async () => {
    const parked = await talk.park();
    const call = { tool_call_id: expect.any(String), name: 'external', kind: 'external' };
    expect(parked).toMatchObject({ status: 'waiting', finished_at: null, open_calls: [call] });
    const lease = await site.sql(
      `SELECT lease_owner, lease_run_id FROM session_leases WHERE session_id = '${talk.session_id}'`,
    );
    expect(lease).toEqual([{ lease_owner: null, lease_run_id: null }]);
    const answer = await talk.answer(parked, idsOf(parked), 'fourty-two');
    const { session_id } = talk;
    expect([answer.status, answer.body]).toEqual([200, { status: 'resumed', session_id, run_id: parked.id }]);
    await talk.follower.until(isTerminal(parked.id));
    expect(await talk.ended(parked.id)).toMatchObject({ status: 'completed', attempt: 1, open_calls: [] });
    expect(await texts()).toEqual([['success', 'fourty-two']]);
    expect((await talk.transcript())[1]).toBe('completed wait|went on');
    const { timeline } = await talk.client.ok<{ timeline: { event: string }[] }>('GET', `/runs/${parked.id}/explain`);
    expect(timeline.map(({ event }) => event)).toEqual(expect.arrayContaining(['parked', 'resumed', 'completed']));
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it('goes on when the last of its calls is answered, whatever the order', async () => {
    const parked = await talk.park(3);
    const [a = '', b = '', c = ''] = idsOf(parked);
    expect((await talk.answer(parked, [b], 'second')).body.status).toBe('resumed');
    expect(idsOf(await talk.reaches(parked.id, 'waiting'))).toEqual([a, c]);
    await talk.follower.until((event) => event.type === 'EXTERNAL_EXECUTION_RESULT');
    expect(await talk.client.ok('GET', `/sessions/${talk.session_id}/status`)).toMatchObject({
      status: expect.stringMatching(/awaiting_external_result|running/),
      run_id: parked.id,
    });
    const block = {
      type: 'text',
      id: 't',
      text: 'third',
      created_at: parked.accepted_at,
      finished_at: parked.accepted_at,
    };
    const answer = await talk.client.request('POST', '/chat', {
      session_id: talk.session_id,
      input: {
        type: 'EXTERNAL_EXECUTION_RESULT',
        reply_id: parked.reply_id,
        execution_results: [
          { id: a, output: 'first' },
          { id: c, output: [block], state: 'error' },
        ],
      },
    });
    expect([answer.status, answer.body]).toMatchObject([200, { run_id: parked.id, status: 'resumed' }]);
    await talk.ended(parked.id);
    const byId = new Map((await results()).map((result) => [result.id, result]));
    expect([a, b, c].map((id) => byId.get(id)?.state)).toEqual(['success', 'success', 'error']);
    expect((await texts()).map(([, text]) => text).sort()).toEqual(['first', 'second', 'third']);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it('takes each answer once: the second one is not awaited', async () => {
    const parked = await talk.park(2);
    const [a = '', b = ''] = idsOf(parked);
    expect((await talk.answer(parked, [a], 'one')).status).toBe(200);
    const again = await talk.answer(parked, [a, b], 'two');
    expect(refusal(again)).toEqual([409, 'not_awaited']);
    expect(again.body).toMatchObject({ error: { details: { reply_id: parked.reply_id, tool_call_ids: [a] } } });
    const wrong = await talk.answer({ reply_id: 'another' }, [b]);
    expect(refusal(wrong)).toEqual([409, 'not_awaited']);
    expect((await talk.answer(parked, [b], 'three')).status).toBe(200);
    await talk.ended(parked.id);
    expect(refusal(await talk.answer(parked, [b], 'four'))).toEqual([409, 'not_awaited']);
    expect((await texts()).map(([, text]) => text).sort()).toEqual(['one', 'three']);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it('takes one of many answers that come at once', async () => {
    const parked = await talk.park();
    const outputs = Array.from({ length: 8 }, (_, i) => `answer ${i}`);
    const answers = await Promise.all(outputs.map((output) => talk.answer(parked, idsOf(parked), output)));
    expect(answers.map(({ status }) => status).sort()).toEqual([200, ...Array<number>(7).fill(409)]);
    const taken = outputs[answers.findIndex(({ status }) => status === 200)];
    await talk.ended(parked.id);
    expect(await texts()).toEqual([['success', taken]]);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it('keeps what is said meanwhile waiting, and says what blocks it', async () => {
    const parked = await talk.park();
    const blocked_by = { run_id: parked.id, status: 'waiting', tool_call_ids: idsOf(parked) };
    const later = await talk.say('later');
    expect(later).toMatchObject({ status: 'queued', blocked_by });
    expect(await talk.say('last')).toMatchObject({ status: 'queued', blocked_by });
    await talk.answer(parked, idsOf(parked));
    expect(await talk.settle()).toEqual(['completed', 'completed', 'completed', 'completed']);
    const said = ['user later', 'completed You said: later', 'user last', 'completed You said: last'];
    const [, ...rest] = await talk.transcript();
    expect(rest.slice(0, 5)).toEqual(['completed wait|went on', ...said]);
  });

  it('is not answered by another user', async () => {
    const parked = await talk.park();
    const mallory = new Talk(new ApiClient(node.url, 'mallory'), talk.session_id, talk.follower);
    expect(refusal(await mallory.answer(parked, idsOf(parked)))).toEqual([404, 'session_not_found']);
    expect(await talk.run(parked.id)).toMatchObject({ status: 'waiting' });
  });

  it('parks again when it has more to ask', async () => {
    const call = '/tool external {"ms":0,"tag":"x"}';
    const { run_id } = await talk.say(`${call}\n/then\n/say and\n${call}\n/then\n/say done`);
    const first = await talk.reaches(run_id, 'waiting');
    await talk.answer(first, idsOf(first), 'one');
    await talk.follower.until((event) => event.type === 'TEXT_BLOCK_DELTA' && event.delta === 'and');
    const second = await talk.reaches(run_id, 'waiting');
    expect(idsOf(second)).not.toEqual(idsOf(first));
    expect(refusal(await talk.answer(second, idsOf(first)))).toEqual([409, 'not_awaited']);
    await talk.answer(second, idsOf(second), 'two');
    await talk.ended(run_id);
    expect(await texts()).toEqual([
      ['success', 'one'],
      ['success', 'two'],
    ]);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });
});

describe('a parked session whose service is started anew', () => {
  it.each(['is asked to stop', 'is killed'])('is as it was when the service %s, and takes the answer', async (how) => {
    const parked = await talk.park(2);
    const [a = '', b = ''] = idsOf(parked);
    await talk.answer(parked, [a], 'before');
    await talk.follower.until((event) => event.type === 'EXTERNAL_EXECUTION_RESULT');
    await talk.reaches(parked.id, 'waiting');
    const later = await talk.say('later');
    const known = (await talk.client.messages(talk.session_id)).messages;
    await (how === 'is killed' ? node.kill() : node.stop());

    node = await site.node();
    talk.client = new ApiClient(node.url);
    expect(await talk.run(parked.id)).toMatchObject({
      status: 'waiting',
      attempt: 1,
      open_calls: [{ tool_call_id: b }],
    });
    expect(await talk.run(later.run_id)).toMatchObject({ status: 'queued' });
    const page = await talk.client.messages(talk.session_id);
    expect(page.messages).toEqual(known);
    expect(refusal(await talk.answer(parked, [a]))).toEqual([409, 'not_awaited']);
    const stream = await talk.client.stream(talk.session_id, `?after=${page.as_of_seq}`);
    expect((await talk.answer(parked, [b], 'after')).body.status).toBe('resumed');
    await stream.until(({ event }) => isTerminal(later.run_id)(event));
    expect(await talk.run(parked.id)).toMatchObject({ status: 'completed', attempt: 1 });
    expect((await texts()).map(([, text]) => text).sort()).toEqual(['after', 'before']);
    const followed = stream.seen.map(({ event }) => event);
    expect(reduce(followed, page.messages)).toEqual((await talk.client.messages(talk.session_id)).messages);
    stream.close();
  });
});
