import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { ToolResultBlock } from '../../src/core/messages/block.js';
import type { ApiClient } from '../support/client.js';
import { eventually } from '../support/eventually.js';
import { Follower } from './follower.js';
import { ended, expectAgreement, expectOneEndEach } from './looks.js';
import { Stage } from './stage.js';
import { UNASKED } from '../support/client.js';

let stage: Stage;
let client: ApiClient;
let session_id: string;
let follower: Follower;

beforeEach(async () => {
  stage = await Stage.open({ env: { AERIE_DRAIN_SECONDS: '0' } });
  client = stage.client();
  ({ session_id } = await client.demoSession(undefined, UNASKED));
  follower = new Follower(client, session_id);
});
afterEach(async () => {
  await follower.close();
  await stage.close();
});

/** Has a worker run the tool, and resolves in the midst of it. */
async function inTool(tool: string, ms: number) {
  const worker = await stage.worker();
  const { run_id } = await client.say(session_id, `/say now\n/tool ${tool} {"ms":${ms},"tag":"t"}\n/then\n/say after`);
  await eventually(async () => ((await stage.ledger.of('t')).length > 0 ? true : undefined));
  await follower.until((event) => event.type === 'TOOL_RESULT_START');
  return { worker, run_id };
}

/** The run comes to its end, followers agree with the record; gives what became of the call. */
async function outcome(run_id: string): Promise<ToolResultBlock | undefined> {
  expect(await ended(stage, run_id)).toMatchObject({ status: 'completed' });
  await expectAgreement(follower, client);
  await expectOneEndEach(follower, client);
  const { messages } = await client.messages(session_id);
  const results = messages[1]?.content.filter((block) => block.type === 'tool_result') ?? [];
  expect(results).toHaveLength(1);
  return results[0];
}

const textOf = (result: ToolResultBlock | undefined): string =>
  (result?.output ?? []).map((block) => (block.type === 'text' ? block.text : '')).join('');

describe('a tool that runs when its worker is killed', () => {
  it('is not run again when that may do harm: the outcome is unknown, also on record', async () => {
    const { worker, run_id } = await inTool('record', 60_000);
    await worker.kill();
    await stage.worker();
    const result = await outcome(run_id);
    expect(result?.state).toBe('error');
    expect(textOf(result)).toMatch(/unknown/);
    expect(await stage.ledger.of('t')).toHaveLength(1);
  });

  it('is run again when that is harmless', async () => {
    const { worker, run_id } = await inTool('record_idempotent', 2000);
    await worker.kill();
    await stage.worker();
    const result = await outcome(run_id);
    expect([result?.state, textOf(result)]).toEqual(['success', 'begun t;done t']);
    const executions = await stage.ledger.of('t');
    expect(executions.map((it) => it.tool_call_id)).toEqual([result?.id, result?.id]);
    expect(new Set(executions.map((it) => it.pid)).size).toBe(2);
  });
});

describe('a tool that runs when its worker is asked to stop', () => {
  it.each(['record', 'stubborn'])('is left behind, the worker goes in time and another goes on: %s', async (tool) => {
    const { worker, run_id } = await inTool(tool, 60_000);
    const [code] = await Promise.all([worker.stop(), stage.worker()]);
    expect(code).toBe(0);
    const result = await outcome(run_id);
    expect(result?.state).toBe('error');
    expect(textOf(result)).toMatch(/unknown/);
    expect(await stage.ledger.of('t')).toHaveLength(1);
  });
});
