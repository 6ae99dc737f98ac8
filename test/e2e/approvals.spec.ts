import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { type ApiClient, EventStream } from '../support/client.js';
import { refusal } from '../support/crud.js';
import { eventually } from '../support/eventually.js';
import { type Rig, startRig } from '../support/rig.js';
import { AGENT_HOST } from '../support/service.js';

interface Approval {
  readonly id: string;
  readonly session_id: string;
  readonly run_id: string;
  readonly reply_id: string;
  readonly tool_call_id: string;
  readonly tool_name: string;
  readonly status: string;
  readonly input: string;
}

let rig: Rig;
let client: ApiClient;
let session_id: string;
let stream: EventStream;

beforeAll(async () => {
  rig = await startRig({ AERIE_APPROVAL_SWEEP_SECONDS: '1' }, AGENT_HOST);
}, 60_000);
afterAll(() => rig.stop());

beforeEach(async () => {
  client = rig.client('alice');
  ({ session_id } = await client.demoSession(undefined, { permission_rules: ASKED }));
  stream = await client.stream(session_id);
});
afterEach(() => stream.close());

/** A call that is covered by what an earlier one suggests is not asked about beside it: these are, each by its own rule. */
const ASKED = ['read_notes', 'whoami'].map((tool_name) => ({
  tool_name,
  rule_content: null,
  behavior: 'ask',
  source: 'user',
}));

const script = (...tools: string[]): string =>
  [...tools.map((it) => `/tool ${it}`), '/then', '/say went on'].join('\n');
const note = (text: string): string => `write_note {"text":"${text}"}`;

const pendingOf = async (session: string): Promise<Approval[]> =>
  (await client.ok<{ approvals: Approval[] }>('GET', `/approvals?status=pending&session_id=${session}`)).approvals;

/** Says it; gives what is asked then, in the order of the calls. */
async function ask(...tools: string[]): Promise<Approval[]> {
  const { run_id } = await client.say(session_id, script(...tools));
  return eventually(async () => {
    const approvals = (await pendingOf(session_id)).filter((it) => it.run_id === run_id);
    const asked = tools.flatMap((it) => approvals.find(({ tool_name }) => it.startsWith(tool_name)) ?? []);
    return asked.length === tools.length ? asked : undefined;
  });
}

const decide = (id: string, body: Record<string, unknown>, as = client) => as.request('POST', `/approvals/${id}`, body);

const confirm = (approval: Approval, result: Record<string, unknown>, more: Record<string, unknown> = {}) =>
  client.request<{ status: string; run_id: string }>('POST', '/chat', {
    session_id,
    input: {
      type: 'USER_CONFIRM_RESULT',
      reply_id: approval.reply_id,
      confirm_results: [{ tool_call: { id: approval.tool_call_id }, rules: null, confirmed: true, ...result }],
    },
    ...more,
  });

const ended = (run_id: string) =>
  stream.until(({ event }) => event.type === 'REPLY_END' && event.run_id === run_id).then(() => run_id);

const results = async (): Promise<[string, string][]> => {
  const { messages } = await client.messages(session_id);
  return messages
    .flatMap(({ content }) => content)
    .flatMap((block): [string, string][] => {
      if (block.type !== 'tool_result') return [];
      return [[block.state, block.output.map((it) => (it.type === 'text' ? it.text : '')).join('')]];
    });
};

describe('a call that is asked about', () => {
  it('stands in the inbox of its user, over all sessions, newest first', async () => {
    const [first] = await ask(note('one'));
    const before = session_id;
    ({ session_id } = await client.demoSession());
    const [second] = await ask(note('two'));
    const list = await client.ok<{ approvals: Approval[]; total: number }>('GET', '/approvals?status=pending&limit=1');
    expect(list.approvals.map((it) => it.id)).toEqual([second?.id]);
    const next = await client.ok<{ approvals: Approval[] }>('GET', `/approvals?cursor=${second?.id}&limit=1`);
    expect(next.approvals.map((it) => it.id)).toEqual([first?.id]);
    expect(await pendingOf(before)).toEqual([first]);
    expect(await client.ok('GET', `/approvals/${first?.id}`)).toEqual(first);
    expect(first).toMatchObject({
      session_id: before,
      tool_name: 'write_note',
      kind: 'confirm',
      input: '{"text":"one"}',
      message: expect.any(String),
      decided_at: null,
      rules: [],
    });
    const bob = rig.client('bob');
    expect(refusal(await bob.request('GET', `/approvals/${first?.id}`))).toEqual([404, 'approval_not_found']);
    expect(refusal(await decide(first?.id ?? '', { decision: 'approve' }, bob))).toEqual([404, 'approval_not_found']);
    expect(await bob.ok('GET', '/approvals')).toMatchObject({ approvals: [], total: 0 });
    expect(await client.ok('GET', `/sessions/${before}/status`)).toMatchObject({ status: 'awaiting_permission' });
  });

  it('runs once it is approved; the same decision again is the same, another one is refused', async () => {
    const [asked] = await ask(note('a'));
    const { id = '', run_id = '' } = asked ?? {};
    const answers = await Promise.all([1, 2, 3].map(() => decide(id, { decision: 'approve' })));
    expect(answers.map((it) => it.status)).toEqual([200, 200, 200]);
    expect(answers[0]?.body).toMatchObject({ id, run_id, status: 'approved', decided_by: 'alice', edited_input: null });
    expect(new Set(answers.map((it) => it.text)).size).toBe(1);
    await ended(run_id);
    expect(await results()).toEqual([['success', 'noted a']]);
    expect((await decide(id, { decision: 'approve' })).status).toBe(200);
    const other = await decide(id, { decision: 'reject' });
    expect(refusal(other)).toEqual([409, 'approval_decided']);
    expect(other.body).toMatchObject({ error: { details: { status: 'approved', decided_at: expect.any(String) } } });
  });

  it('takes an edited input as it was said, whatever its names are', async () => {
    const [first] = await ask(note('a'));
    const edited_input = { text: 'b', constructor: 'c', prototype: 'd' };
    const { body } = await decide(first?.id ?? '', { decision: 'approve', edited_input });
    expect(JSON.parse((body as { edited_input: string }).edited_input)).toEqual(edited_input);
    await stream.replies();
  });

  it.each([500, 300_000])('refuses an input that is nested %d levels deep', async (depth) => {
    const [first] = await ask(note('a'));
    const nested = `${'['.repeat(depth)}${']'.repeat(depth)}`;
    const body = `{"decision":"approve","edited_input":{"text":"b","more":${nested}}}`;
    const answer = await client.request('POST', `/approvals/${first?.id}`, body);
    expect(refusal(answer)).toEqual([400, 'validation_failed']);
    expect(await pendingOf(session_id)).toHaveLength(1);
  });

  it('runs with the input that was edited', async () => {
    const [first] = await ask(note('a'));
    const { status, body } = await decide(first?.id ?? '', { decision: 'approve', edited_input: { text: 'b' } });
    expect([status, body]).toEqual([200, expect.objectContaining({ edited_input: '{"text":"b"}' })]);
    await ended(first?.run_id ?? '');
    const [second] = await ask(note('c'));
    const input = '{"text":"d"}';
    expect((await confirm(second!, { tool_call: { id: second?.tool_call_id, input } })).status).toBe(200);
    await ended(second?.run_id ?? '');
    expect(await results()).toEqual([
      ['success', 'noted b'],
      ['success', 'noted d'],
    ]);
  });

  it('is refused what it may not do, and then nothing of the answer is applied', async () => {
    const [one, two] = await ask(note('a'), 'read_notes {}');
    const bad = { decision: 'approve', edited_input: { wrong: 1 } };
    const answer = await decide(one?.id ?? '', bad);
    expect(refusal(answer)).toEqual([400, 'confirmation_refused']);
    const details = { reason: 'input_invalid', tool_call_id: one?.tool_call_id, message: expect.any(String) };
    expect(answer.body).toMatchObject({ error: { details } });
    const renamed = await confirm(one!, { tool_call: { id: one?.tool_call_id, name: 'read_notes' } });
    expect(renamed.body).toMatchObject({ error: { details: { reason: 'tool_name_changed' } } });
    const rule = { tool_name: 'read_notes', rule_content: null, behavior: 'allow', source: 'x' };
    const ruled = await decide(one?.id ?? '', { decision: 'approve', rules: [rule] });
    expect(ruled.body).toMatchObject({ error: { details: { reason: 'rule_for_other_tool' } } });
    const both = await client.request('POST', '/chat', {
      session_id,
      input: {
        type: 'USER_CONFIRM_RESULT',
        reply_id: one?.reply_id,
        confirm_results: [
          { confirmed: true, tool_call: { id: two?.tool_call_id }, rules: null },
          { confirmed: true, tool_call: { id: one?.tool_call_id, input: 'no JSON' }, rules: null },
        ],
      },
    });
    expect(refusal(both)).toEqual([400, 'confirmation_refused']);
    expect(await pendingOf(session_id)).toHaveLength(2);
    expect(refusal(await confirm(one!, { tool_call: { id: 'nobody' } }))).toEqual([409, 'not_awaited']);
    for (const body of [
      { decision: 'reject', edited_input: {} },
      { decision: 'maybe' },
      { decision: 'reject', rules: [] },
    ])
      expect(refusal(await decide(one?.id ?? '', body))).toEqual([400, 'validation_failed']);
  });

  it('is not asked about again when a rule was granted with it', async () => {
    const [asked] = await ask(note('a'));
    const rule = { tool_name: 'write_note', rule_content: null, behavior: 'allow', source: 'me' };
    const { status } = await decide(asked?.id ?? '', { decision: 'approve', rules: [rule] });
    expect(status).toBe(200);
    await stream.until(({ event }) => event.type === 'CUSTOM' && event.name === 'state_updated');
    await ended(asked?.run_id ?? '');
    const { session } = await client.ok<{ session: { config: { permission_rules: unknown[] } } }>(
      'GET',
      `/sessions/${session_id}`,
    );
    expect(session.config.permission_rules).toEqual([...ASKED, { ...rule, source: 'confirmation' }]);
    const { run_id } = await client.say(session_id, script(note('b')));
    await ended(run_id);
    expect(await results()).toEqual([
      ['success', 'noted a'],
      ['success', 'noted b'],
    ]);
  });

  it('that is rejected does not run, and the reply goes on', async () => {
    const [asked] = await ask(note('a'));
    const answer = await confirm(asked!, { confirmed: false, comment: 'not now' });
    expect([answer.status, answer.body]).toEqual([200, { status: 'resumed', session_id, run_id: asked?.run_id }]);
    await ended(asked?.run_id ?? '');
    expect(await results()).toEqual([['denied', expect.any(String)]]);
    const decided = await client.ok('GET', `/approvals/${asked?.id}`);
    expect(decided).toMatchObject({ status: 'rejected', comment: 'not now', decided_by: 'alice' });
  });

  it('can be rejected when its agent is gone', async () => {
    const made = await client.demoSession();
    ({ session_id } = made);
    const [asked] = await ask(note('a'));
    await client.ok('DELETE', `/credential/${made.credential_id}?force=true`);
    expect(refusal(await decide(asked?.id ?? '', { decision: 'approve' }))).toEqual([404, 'credential_not_found']);
    expect((await decide(asked?.id ?? '', { decision: 'reject' })).status).toBe(200);
  });

  it('is void once its run is stopped, and gone with its session', async () => {
    const [asked] = await ask(note('a'));
    await client.ok('POST', `/sessions/${session_id}/interrupt`);
    const closed = await decide(asked?.id ?? '', { decision: 'approve' });
    expect(refusal(closed)).toEqual([409, 'approval_closed']);
    expect(closed.body).toMatchObject({ error: { details: { status: 'voided' } } });
    await ended(asked?.run_id ?? '');
    const [second] = await ask(note('b'));
    await client.request('DELETE', `/sessions/${session_id}`);
    expect(refusal(await client.request('GET', `/approvals/${second?.id}`))).toEqual([404, 'approval_not_found']);
  });

  it('is turned down when nobody answers in time', async () => {
    const [asked] = await ask(note('a'));
    await rig.sql(`UPDATE approvals SET expires_at = now() WHERE id = '${asked?.id}'`);
    await ended(asked?.run_id ?? '');
    expect(await results()).toEqual([['denied', expect.any(String)]]);
    expect(refusal(await decide(asked?.id ?? '', { decision: 'reject' }))).toEqual([409, 'approval_closed']);
    expect(await client.ok('GET', `/approvals/${asked?.id}`)).toMatchObject({ status: 'expired', decided_by: null });
  });
});

describe('a session that is copied while a call is asked about', () => {
  it('has nothing to answer in the copy, and its own question stays open', async () => {
    const [approval] = await ask(note('mine'));
    if (!approval) throw new Error('nothing is asked');
    const { session_id: copy } = await client.ok<{ session_id: string }>('POST', `/sessions/${session_id}/fork`, {});
    expect(await pendingOf(copy)).toEqual([]);
    const inCopy = await client.request('POST', '/chat', {
      session_id: copy,
      input: {
        type: 'USER_CONFIRM_RESULT',
        reply_id: approval.reply_id,
        confirm_results: [{ tool_call: { id: approval.tool_call_id }, rules: null, confirmed: true }],
      },
    });
    expect(refusal(inCopy)).toEqual([409, 'not_awaited']);
    const { messages } = await client.messages(copy);
    expect(messages.at(-1)).toMatchObject({ id: approval.reply_id, finished_reason: 'interrupted' });
    expect((await decide(approval.id, { decision: 'approve' })).status).toBe(200);
    await ended(approval.run_id);
    expect(await results()).toEqual([['success', 'noted mine']]);
    expect((await client.messages(copy)).messages).toEqual(messages);
  });
});

describe('several decisions at once', () => {
  it('are each taken by itself', async () => {
    const [one, two, three] = await ask('whoami {}', note('b'), 'read_notes {}');
    await decide(three?.id ?? '', { decision: 'reject' });
    const decisions = [
      { id: one?.id, decision: 'approve' },
      { id: 'unknown', decision: 'approve' },
      { id: three?.id, decision: 'approve' },
      { id: two?.id, decision: 'reject', comment: 'no' },
    ];
    const { results: decided } = await client.ok<{ results: unknown[] }>('POST', '/approvals/batch', { decisions });
    expect(decided).toMatchObject([
      { id: one?.id, ok: true, approval: { status: 'approved' } },
      { id: 'unknown', ok: false, error: { code: 'approval_not_found' } },
      { id: three?.id, ok: false, error: { code: 'approval_decided', details: { status: 'rejected' } } },
      { id: two?.id, ok: true, approval: { status: 'rejected', comment: 'no' } },
    ]);
    await ended(one?.run_id ?? '');
    expect((await results()).map(([state]) => state).sort()).toEqual(['denied', 'denied', 'success']);
  });
});

describe('a call that is executed outside', () => {
  it('can only be turned down', async () => {
    const [asked] = await ask('pick_colour {}');
    expect(asked).toMatchObject({ kind: 'external', status: 'pending' });
    expect(refusal(await decide(asked?.id ?? '', { decision: 'approve' }))).toEqual([400, 'validation_failed']);
    const turned = await decide(asked?.id ?? '', { decision: 'reject', comment: 'no colour' });
    expect([turned.status, turned.body]).toEqual([200, expect.objectContaining({ status: 'rejected' })]);
    expect((await decide(asked?.id ?? '', { decision: 'reject', comment: 'no colour' })).status).toBe(200);
    await ended(asked?.run_id ?? '');
    expect(await results()).toEqual([['denied', expect.stringContaining('no colour')]]);
  });

  it('is answered once its result is given', async () => {
    const [asked] = await ask('pick_colour {}');
    const { reply_id, tool_call_id: id, run_id } = asked!;
    const input = { type: 'EXTERNAL_EXECUTION_RESULT', reply_id, execution_results: [{ id, output: 'blue' }] };
    for (let round = 0; round < 2; round++) {
      const answer = await client.request('POST', '/chat', { session_id, input });
      expect([answer.status, answer.body]).toEqual([200, { status: 'resumed', session_id, run_id }]);
      await ended(run_id);
    }
    expect(await results()).toEqual([['success', 'blue']]);
    expect(await client.ok('GET', `/approvals/${asked?.id}`)).toMatchObject({ status: 'answered' });
    expect(refusal(await decide(asked?.id ?? '', { decision: 'reject' }))).toEqual([409, 'approval_decided']);
  });
});

describe('a message with on_pending=reject', () => {
  it('turns down what is asked, and the same reply goes on with it', async () => {
    const [asked] = await ask(note('a'), 'pick_colour {}');
    const said = { session_id, input: { id: 'm1', content: 'Never mind' }, on_pending: 'reject' };
    const resumed = { status: 'resumed', session_id, run_id: asked?.run_id };
    expect(await client.ok('POST', '/chat', said)).toEqual(resumed);
    await ended(asked?.run_id ?? '');
    expect(await client.ok('POST', '/chat', said)).toEqual(resumed);
    expect((await results()).map(([state]) => state).sort()).toEqual(['denied', 'error']);
    const { messages } = await client.messages(session_id);
    expect(messages.map((it) => it.role)).toEqual(['user', 'assistant']);
    const hints = messages.flatMap(({ content }) => content).filter((block) => block.type === 'hint');
    expect(hints).toMatchObject([{ id: 'm1', hint: [{ type: 'text', text: 'Never mind' }] }]);
  });

  it('is a message like any other when nothing is asked, also when it is what led to the question', async () => {
    const input = { id: 'm2', content: script(note('a')) };
    const said = { session_id, input, on_pending: 'reject' };
    const { run_id, status } = await client.ok<{ run_id: string; status: string }>('POST', '/chat', said);
    expect(status).toBe('started');
    await stream.until(({ event }) => event.type === 'REQUIRE_USER_CONFIRM');
    await eventually(async () => ((await pendingOf(session_id)).length === 1 ? true : undefined));
    expect(await client.ok('POST', '/chat', said)).toMatchObject({ run_id });
    expect(await pendingOf(session_id)).toHaveLength(1);
  });
});

describe('structured_schema', () => {
  it.each([
    ['no object', { type: 'string' }],
    ['nothing that can be compiled', { type: 'object', properties: { a: { $ref: '#/nowhere' } } }],
    ['too long', { type: 'object', description: 'x'.repeat(70_000) }],
  ])('is refused when it is %s', async (_name, structured_schema) => {
    const answer = await client.request('POST', '/chat', { session_id, input: { content: 'hi' }, structured_schema });
    expect(refusal(answer)).toEqual([400, 'validation_failed']);
    expect(answer.body).toMatchObject({ error: { details: [{ path: 'structured_schema' }] } });
  });
});
