import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { isDelta, isTerminal, occupy, Site, Talk, textOf } from '../chaos/matrix-support.js';
import { eventually } from '../support/eventually.js';

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
  talk = await Talk.open({ url });
});
afterEach(async () => {
  await free();
  await talk.follower.close();
});

const SLEEPS = '/say zzz\n/sleep 600000';

describe('POST /chat?wait=true', () => {
  const waitFor = (text: string, query = '') => talk.post(text, {}, `?wait=true${query}`);

  it('answers with the final message, which is the one on record', async () => {
    const answer = await waitFor('/tool calculator {"expression":"6*7"}\n/then\n/say done');
    const { session_id } = talk;
    expect([answer.status, answer.body]).toMatchObject([200, { status: 'completed', session_id }]);
    const { messages } = await talk.client.messages(session_id);
    expect(answer.body.message).toEqual(messages[1]);
    expect(textOf(messages[1] as NonNullable<(typeof messages)[1]>)).toBe('done');
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it('answers 202 when time is up, and the run goes on to its end', async () => {
    const answer = await waitFor('/say before\n/sleep 900\n/say after', '&timeout_ms=300');
    expect([answer.status, answer.body]).toMatchObject([202, { status: 'running', message: null }]);
    expect(await talk.ended(answer.body.run_id)).toMatchObject({ status: 'completed', stop: null });
    expect(await talk.transcript()).toEqual(['user /say before\n/sleep 900\n/say after', 'completed before|after']);
  });

  it('answers 202 for a run that still waits its turn', async () => {
    const first = await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const answer = await waitFor('later', '&timeout_ms=50');
    expect([answer.status, answer.body]).toMatchObject([202, { status: 'queued', message: null }]);
    await talk.client.ok('POST', `/runs/${first}/cancel`);
    expect(await talk.ended(answer.body.run_id)).toMatchObject({ status: 'completed' });
  });

  it('answers with the failure of a run', async () => {
    const answer = await waitFor('/say so far\n/fail invalid_request');
    const message = { finished_reason: 'error', error: { type: 'invalid_request' } };
    expect([answer.status, answer.body]).toMatchObject([200, { status: 'failed', message }]);
  });

  it('answers when the run is parked, with what it waits for', async () => {
    const answer = await waitFor('/say wait\n/tool external {"ms":0,"tag":"x"}');
    const content = [{ type: 'text' }, { type: 'tool_call', name: 'external', state: 'submitted' }];
    expect([answer.status, answer.body]).toMatchObject([200, { status: 'waiting', message: { content } }]);
  });

  it('answers results from outside with what is still open, and the last ones with the end of the run', async () => {
    const parked = await talk.park(2);
    free = await occupy({ url }, SLOTS);
    const wait = (index: number) => {
      const execution_results = [{ id: parked.open_calls[index]?.tool_call_id, output: 'x' }];
      const input = { type: 'EXTERNAL_EXECUTION_RESULT', reply_id: parked.reply_id, execution_results };
      return talk.client.request('POST', '/chat?wait=true', { session_id: talk.session_id, input });
    };
    const message = { id: parked.reply_id };
    const first = await wait(0);
    expect([first.status, first.body]).toMatchObject([200, { run_id: parked.id, status: 'waiting', message }]);
    // Nobody can go on with it before the answer is on record.
    const last = wait(1);
    await eventually(async () => ((await talk.run(parked.id)).open_calls.length === 0 ? true : undefined));
    await free();
    const { status, body } = await last;
    expect([status, body]).toMatchObject([200, { run_id: parked.id, status: 'completed', message }]);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it.each([
    ['at work', SLEEPS, 'interrupted', 'zzz'],
    ['still queued', 'never said', 'cancelled', null],
  ])('answers when the run is stopped %s', async (_when, text, status, said) => {
    if (said === null) await talk.sayUntil(SLEEPS, isDelta('zzz'));
    const answer = waitFor(text);
    const run_id = await eventually(async () => {
      const [run] = await site.sql<{ id: string; status: string }>(
        `SELECT id, status FROM runs WHERE session_id = '${talk.session_id}' ORDER BY id DESC LIMIT 1`,
      );
      return run?.status === (said === null ? 'queued' : 'running') ? run.id : undefined;
    });
    if (said !== null) await talk.follower.until(isDelta(said));
    await talk.client.ok('POST', `/runs/${run_id}/cancel`);
    const { status: code, body } = await answer;
    expect([code, body.run_id, body.status, body.message && textOf(body.message)]).toEqual([200, run_id, status, said]);
    await talk.client.ok('POST', `/sessions/${talk.session_id}/interrupt`);
  });

  it('answers a repeated message with the end of its run', async () => {
    const [first, second] = await Promise.all(
      [1, 2].map(() => talk.post('/say once\n/sleep 200', { id: 'm1' }, '?wait=true')),
    );
    expect(second?.body).toEqual(first?.body);
    expect([first?.status, first?.body]).toMatchObject([200, { status: 'completed' }]);
    expect(await talk.transcript()).toHaveLength(2);
  });
});

describe('a client that goes while it waits', () => {
  /** Says it, and is gone once the model has begun to speak; gives the run. */
  async function sayAndGo(content: string, more: object): Promise<string> {
    const gone = new AbortController();
    const asked = fetch(`${url}/chat?wait=true`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-user-id': talk.client.user },
      body: JSON.stringify({ session_id: talk.session_id, input: { content }, ...more }),
      signal: gone.signal,
    });
    const { event } = await talk.follower.until(isDelta('zzz'));
    gone.abort();
    await expect(asked).rejects.toThrow(/abort/);
    return event.run_id ?? '';
  }

  it('takes the run along when it said so', async () => {
    const run_id = await sayAndGo(SLEEPS, { on_disconnect: 'interrupt' });
    await talk.follower.until(isTerminal(run_id));
    expect(await talk.ended(run_id)).toMatchObject({ status: 'interrupted', stop: { requested_by: 'alice' } });
    expect(await talk.settle()).toEqual(['interrupted', 'completed']);
  });

  it.each([[{}], [{ on_disconnect: 'detach' }]])('leaves the run alone with %j', async (more) => {
    const run_id = await sayAndGo('/say zzz\n/sleep 700\n/say done', more);
    expect(await talk.ended(run_id)).toMatchObject({ status: 'completed', stop: null });
    expect((await talk.transcript())[1]).toBe('completed zzz|done');
  });
});

describe('POST /chat', () => {
  it.each<[string, object, string, string]>([
    ['on_busy', { on_busy: 'wait' }, '', 'on_busy'],
    ['a negative coalesce_ms', { coalesce_ms: -1 }, '', 'coalesce_ms'],
    ['coalesce_ms beyond its bound', { coalesce_ms: 60_001 }, '', 'coalesce_ms'],
    ['a broken coalesce_ms', { coalesce_ms: 1.5 }, '', 'coalesce_ms'],
    ['on_disconnect', { on_disconnect: 'stay' }, '', 'on_disconnect'],
    ['wait', {}, '?wait=perhaps', 'wait'],
    ['timeout_ms', {}, '?wait=true&timeout_ms=0', 'timeout_ms'],
    ['timeout_ms that is no number', {}, '?timeout_ms=soon', 'timeout_ms'],
    ['no results', { input: { type: 'EXTERNAL_EXECUTION_RESULT', reply_id: 'r', execution_results: [] } }, '', 'input'],
    [
      'no reply',
      { input: { type: 'EXTERNAL_EXECUTION_RESULT', execution_results: [{ id: 'c', output: '' }] } },
      '',
      'input',
    ],
  ])('is refused with a faulty %s', async (_name, more, query, path) => {
    const body = { session_id: talk.session_id, input: { content: 'x' }, ...more };
    const answer = await talk.client.request('POST', `/chat${query}`, body);
    const faults = (answer.body['error'] as { details?: { path: string }[] }).details ?? [];
    expect([answer.status, answer.body]).toMatchObject([400, { error: { code: 'validation_failed' } }]);
    expect(faults.map((fault) => fault.path)).toContainEqual(expect.stringMatching(new RegExp(`^${path}\\b`)));
    expect(await talk.transcript()).toEqual([]);
  });
});
