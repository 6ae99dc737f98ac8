import { afterEach, describe, expect, it } from '@jest/globals';
import { ApiClient } from '../support/client.js';
import { databaseEnv } from '../support/rig.js';
import { type Service, startService } from '../support/service.js';

const cleanUp: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const undo of cleanUp.splice(0).reverse()) await undo();
});

async function database() {
  const made = await databaseEnv();
  cleanUp.push(() => made.drop());
  return made;
}

async function started(env: Record<string, string>): Promise<Service> {
  const service = await startService({ env });
  cleanUp.push(() => service.stop());
  return service;
}

interface Run {
  status: string;
  attempt: number;
  error: { type: string; message: string } | null;
}

describe('a run that does not come to its end', () => {
  it.each([
    ['AERIE_RUN_MAX_SECONDS', '/stream 100000 10', 'The reply took longer than this service allows.'],
    ['AERIE_RUN_MAX_IDLE_SECONDS', '/say one\n/sleep 600000', 'The reply made no progress for too long.'],
  ])('fails visibly at %s', async (variable, script, message) => {
    const { env } = await database();
    const client = new ApiClient((await started({ ...env, [variable]: '1' })).url);
    const { session_id } = await client.demoSession();
    const stream = await client.stream(session_id);
    const { run_id } = await client.say(session_id, script);
    const error = { type: 'internal', message };
    expect((await stream.replies()).event).toMatchObject({ finished_reason: 'error', error });
    expect(await client.ok<Run>('GET', `/runs/${run_id}`)).toMatchObject({ status: 'failed', attempt: 1, error });
    expect(await client.ok('GET', `/sessions/${session_id}/status`)).toMatchObject({ task_state: 'ERROR' });
    stream.close();
  });

  it('fails visibly when more holders crashed over it than allowed, and the next one goes on as ever', async () => {
    const { env } = await database();
    const limited = { ...env, AERIE_RUN_MAX_ATTEMPTS: '2' };
    let service = await startService({ env: limited });
    const { session_id } = await new ApiClient(service.url).demoSession();
    const { run_id } = await new ApiClient(service.url).say(session_id, '/say one\n/sleep 600000');
    for (let crashes = 1; crashes <= 2; crashes++) {
      const stream = await new ApiClient(service.url).stream(session_id, '?after=0');
      await stream.until(({ event }) => event.type === 'TEXT_BLOCK_DELTA');
      stream.close();
      await service.kill();
      service = await startService({ env: limited });
    }
    cleanUp.push(() => service.stop());
    const client = new ApiClient(service.url);
    const stream = await client.stream(session_id);
    await stream.replies();
    const run = await client.ok<Run>('GET', `/runs/${run_id}`);
    expect(run).toMatchObject({ status: 'failed', attempt: 3, error: { type: 'internal' } });
    const { timeline } = await client.ok<{ timeline: { event: string; attempt_counted?: boolean }[] }>(
      'GET',
      `/runs/${run_id}/explain`,
    );
    const crashes = timeline.filter((entry) => entry.event === 'recovered');
    expect(crashes.map((entry) => entry.attempt_counted)).toEqual([true, true]);
    await client.say(session_id, 'and now?');
    expect((await stream.replies(2)).event).toMatchObject({ finished_reason: 'completed' });
    stream.close();
  });
});
