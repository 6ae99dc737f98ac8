import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { NodeProcess } from '../chaos/node-process.js';
import { Site } from '../chaos/matrix-support.js';
import { ApiClient } from '../support/client.js';
import { eventually } from '../support/eventually.js';

let site: Site;
let nodes: [NodeProcess, NodeProcess];

beforeAll(async () => {
  site = await Site.open({ AERIE_APPROVAL_SWEEP_SECONDS: '1' });
  nodes = [await site.node(), await site.node()];
}, 60_000);
afterAll(() => site.close());

interface Run {
  readonly status: string;
}

/** A session that waits for somebody to let a call run that is on record wherever it runs. */
async function parked() {
  const [one, other] = nodes.map((node) => new ApiClient(node.url)) as [ApiClient, ApiClient];
  const { session_id } = await one.demoSession();
  const tag = session_id;
  const { run_id } = await one.say(session_id, `/tool record {"ms":0,"tag":"${tag}"}\n/then\n/say went on`);
  const id = await eventually(async () => {
    const { approvals } = await other.ok<{ approvals: { id: string }[] }>('GET', `/approvals?session_id=${session_id}`);
    return approvals[0]?.id;
  });
  const end = () =>
    eventually(async () => {
      const run = await other.ok<Run>('GET', `/runs/${run_id}`);
      return run.status === 'completed' ? run : undefined;
    });
  const results = async () => {
    const { messages } = await one.messages(session_id);
    return messages.flatMap(({ content }) => content).filter((block) => block.type === 'tool_result');
  };
  return { one, other, id, end, results };
}

it('takes one decision, however often and wherever it is sent', async () => {
  const { one, other, id, end, results } = await parked();
  const clients = [one, other, one, other, one, other];
  const approve = (client: ApiClient) => client.request('POST', `/approvals/${id}`, { decision: 'approve' });
  const answers = await Promise.all(clients.map(approve));
  expect(answers.map((it) => it.status)).toEqual(clients.map(() => 200));
  expect(new Set(answers.map((it) => it.text)).size).toBe(1);
  await end();
  expect(await results()).toMatchObject([{ state: 'success' }]);
});

it('takes one of two decisions that differ, and tells the other', async () => {
  const { one, other, id, end, results } = await parked();
  const decisions = ['approve', 'reject'];
  const answers = await Promise.all(
    [one, other].map((client, n) => client.request('POST', `/approvals/${id}`, { decision: decisions[n] })),
  );
  expect(answers.map((it) => it.status).sort()).toEqual([200, 409]);
  const won = answers[0]?.status === 200 ? 'approved' : 'rejected';
  const lost = answers.find((it) => it.status === 409)?.body;
  expect(lost).toMatchObject({ error: { code: 'approval_decided', details: { status: won } } });
  await end();
  expect(await results()).toMatchObject([{ state: won === 'approved' ? 'success' : 'denied' }]);
});

it('turns down once what nobody decided in time', async () => {
  const { id, end, results } = await parked();
  await site.sql(`UPDATE approvals SET expires_at = now() WHERE id = '${id}'`);
  await end();
  expect(await results()).toMatchObject([{ state: 'denied' }]);
  const [{ n } = { n: 0 }] = await site.sql<{ n: number }>(
    `SELECT count(*)::int AS n FROM messages m JOIN approvals a USING (session_id) WHERE a.id = '${id}' AND m.role = 'assistant'`,
  );
  expect(n).toBe(2);
});
