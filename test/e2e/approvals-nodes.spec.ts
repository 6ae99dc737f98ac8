import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { reduce } from '../../src/core/events/reducer.js';
import type { NodeProcess } from '../chaos/node-process.js';
import { isTerminal, Site, Talk } from '../chaos/matrix-support.js';
import { ApiClient } from '../support/client.js';
import { eventually } from '../support/eventually.js';

interface Approval {
  readonly id: string;
  readonly status: string;
  readonly run_id: string;
  readonly tool_call_id: string;
  readonly reply_id: string;
}

let site: Site;
let one: NodeProcess;
let other: NodeProcess;
let client: ApiClient;
let talk: Talk;

beforeAll(async () => {
  site = await Site.open({ AERIE_APPROVAL_SWEEP_SECONDS: '1' });
  [one, other] = await Promise.all([site.node(), site.node()]);
}, 60_000);
afterAll(() => site.close());

beforeEach(async () => {
  client = new ApiClient(one.url);
  talk = await Talk.open(one, { session: {} });
});
afterEach(() => talk.follower.close());

const record = (tag: string, ms = 0): string => `/tool record ${JSON.stringify({ ms, tag })}`;

async function ask(...tags: string[]): Promise<Approval[]> {
  // Allowing one would allow the next: both are asked about by a rule.
  const rule = { tool_name: 'record', rule_content: null, behavior: 'ask' };
  await client.ok('PATCH', `/sessions/${talk.session_id}`, { permission_rules: [rule] });
  const { run_id } = await talk.say(`${tags.map((tag) => record(tag)).join('\n')}\n/then\n/say went on`);
  await talk.reaches(run_id, 'waiting');
  const { approvals } = await client.ok<{ approvals: Approval[] }>(
    'GET',
    `/approvals?status=pending&session_id=${talk.session_id}`,
  );
  expect(approvals).toHaveLength(tags.length);
  return approvals.toReversed();
}

const decide = (node: NodeProcess, { id }: Approval, body: Record<string, unknown>) =>
  new ApiClient(node.url).request<Approval>('POST', `/approvals/${id}`, body);

const ran = async (tag: string) => (await site.ledger.executions()).filter((it) => it.tag === tag).length;

describe('approvals over several nodes', () => {
  it('are decided once, however many nodes hear the same decision at once', async () => {
    const tag = `twice-${Date.now()}`;
    const [approval] = await ask(tag);
    if (!approval) throw new Error('nothing is asked');
    const answers = await Promise.all(
      Array.from({ length: 6 }, (_, i) => decide(i % 2 ? one : other, approval, { decision: 'approve' })),
    );
    expect(answers.map(({ status }) => status)).toEqual(Array(6).fill(200));
    const [first] = answers;
    for (const { body } of answers) expect(body).toEqual(first?.body);
    expect(first?.body).toMatchObject({ status: 'approved', run_id: approval.run_id });
    expect(await talk.ended(approval.run_id)).toMatchObject({ status: 'completed' });
    expect(await ran(tag)).toBe(1);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it('have one winner when two nodes hear different decisions at once', async () => {
    const tag = `torn-${Date.now()}`;
    const [approval] = await ask(tag);
    if (!approval) throw new Error('nothing is asked');
    const answers = await Promise.all([
      decide(one, approval, { decision: 'approve' }),
      decide(other, approval, { decision: 'reject', comment: 'no' }),
    ]);
    expect(answers.map(({ status }) => status).sort()).toEqual([200, 409]);
    const winner = answers.find(({ status }) => status === 200)?.body.status;
    await talk.ended(approval.run_id);
    expect(await ran(tag)).toBe(winner === 'approved' ? 1 : 0);
    expect((await client.ok<Approval>('GET', `/approvals/${approval.id}`)).status).toBe(winner);
    await talk.settle();
  });

  it('may be answered one after the other, on any node; the other card stays open', async () => {
    const [first, second] = await ask('left', 'right');
    if (!first || !second) throw new Error('two are asked');
    expect((await decide(other, second, { decision: 'approve' })).status).toBe(200);
    await talk.reaches(first.run_id, 'waiting');
    await eventually(async () => ((await ran('right')) === 1 ? true : undefined));
    expect((await client.ok<Approval>('GET', `/approvals/${first.id}`)).status).toBe('pending');
    expect((await decide(one, first, { decision: 'reject' })).status).toBe(200);
    await talk.ended(first.run_id);
    expect([await ran('left'), await ran('right')]).toEqual([0, 1]);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it('are shown to whoever joins while they are open, on any node', async () => {
    const [approval] = await ask('joined');
    if (!approval) throw new Error('nothing is asked');
    const late = new ApiClient(other.url);
    const stream = await late.stream(talk.session_id);
    const { event } = await stream.until((seen) => seen.event.type === 'REQUIRE_USER_CONFIRM');
    stream.close();
    const asked = { id: approval.tool_call_id, metadata: { approval: { id: approval.id } } };
    expect(event).toMatchObject({ tool_calls: [asked] });
    const { messages } = await late.messages(talk.session_id);
    expect(messages.at(-1)?.content.at(-1)).toMatchObject({ ...asked, state: 'asking' });
    await decide(other, approval, { decision: 'reject' });
    await talk.ended(approval.run_id);
  });

  it('are turned down once, whichever node finds that nobody answered in time', async () => {
    const tag = `late-${Date.now()}`;
    const [approval] = await ask(tag);
    if (!approval) throw new Error('nothing is asked');
    await site.sql(`UPDATE approvals SET expires_at = now() WHERE id = '${approval.id}'`);
    await talk.ended(approval.run_id);
    const { body } = await decide(other, approval, { decision: 'approve' });
    expect(body).toMatchObject({ error: { code: 'approval_closed', details: { status: 'expired' } } });
    expect(await ran(tag)).toBe(0);
    const answers = talk.follower.seen.filter(({ event }) => event.type === 'USER_CONFIRM_RESULT');
    expect(answers).toMatchObject([{ event: { confirm_results: [{ confirmed: false, cause: 'expired' }] } }]);
    expect(await talk.settle()).toEqual(['completed', 'completed']);
  });

  it('survive all nodes: what is approved after that runs once', async () => {
    const tag = `killed-${Date.now()}`;
    const [approval] = await ask(tag);
    if (!approval) throw new Error('nothing is asked');
    await Promise.all([one.kill(), other.kill()]);
    [one, other] = await Promise.all([site.node(), site.node()]);
    talk.client = client = new ApiClient(one.url);
    const page = await client.messages(talk.session_id);
    const stream = await client.stream(talk.session_id, `?after=${page.as_of_seq}`);
    expect((await decide(other, approval, { decision: 'approve' })).status).toBe(200);
    expect(await talk.ended(approval.run_id)).toMatchObject({ status: 'completed', attempt: 1 });
    await stream.until(({ event }) => isTerminal(approval.run_id)(event));
    stream.close();
    expect(await ran(tag)).toBe(1);
    const seen = stream.seen.map(({ event }) => event);
    expect(reduce(seen, page.messages)).toEqual((await client.messages(talk.session_id)).messages);
  });

  it('hold although the node dies that was just told of them', async () => {
    const tag = `dying-${Date.now()}`;
    const [approval] = await ask(tag);
    if (!approval) throw new Error('nothing is asked');
    const told = decide(one, approval, { decision: 'approve' });
    await told;
    await Promise.all([one.kill(), other.kill()]);
    [one, other] = await Promise.all([site.node(), site.node()]);
    talk.client = client = new ApiClient(one.url);
    const run = await talk.ended(approval.run_id);
    // The tool may have begun when its node died; then it is not run again, and the model is told.
    expect(run.status).toBe('completed');
    expect(await ran(tag)).toBeLessThanOrEqual(1);
    expect((await client.ok<Approval>('GET', `/approvals/${approval.id}`)).status).toBe('approved');
  });
});
