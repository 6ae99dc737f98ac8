import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import pg from 'pg';
import type { ApiClient } from '../support/client.js';
import { create, refusal } from '../support/crud.js';
import { eventually } from '../support/eventually.js';
import { type Rig, startRig } from '../support/rig.js';

/** A credential is deleted while something is written that names it. */
let rig: Rig;
let client: ApiClient;
/** Somebody else's transaction. */
let other: pg.Client;

beforeAll(async () => {
  rig = await startRig();
  client = rig.client();
  other = new pg.Client({ connectionString: rig.env['DATABASE_URL'] });
  await other.connect();
}, 30_000);
afterAll(async () => {
  await other.end();
  await rig.stop();
});

const demo = () => create(client, '/credential', { data: { type: 'demo_credential' } });
const model = (credential_id: string) => ({ type: 'demo_credential', credential_id, model: 'demo-1' });

/** Resolves when a statement of the service waits for the other transaction. */
const blocked = () =>
  eventually(async () => {
    const waiting = await rig.sql(
      "SELECT 1 FROM pg_stat_activity WHERE application_name LIKE 'aerie %' AND wait_event_type = 'Lock'",
    );
    return waiting.length > 0 || undefined;
  });

/** What the service answers to a request that had to wait for the other transaction. */
async function during<T>(work: () => Promise<unknown>, request: () => Promise<T>): Promise<T> {
  await other.query('BEGIN');
  await work();
  const answer = request();
  await blocked();
  await other.query('COMMIT');
  return answer;
}

describe('whoever comes second', () => {
  it.each(['chat_model_config', 'fallback_chat_model_config'])(
    'sees that the credential has gone, when it writes its %s',
    async (field) => {
      const agent_id = await create(client, '/agent', { name: 'a' });
      const session_id = await create(client, '/sessions', { agent_id });
      for (const [method, path, body] of [
        ['POST', '/agent', { name: 'b' }],
        ['PATCH', `/agent/${agent_id}`, {}],
        ['POST', '/sessions', { agent_id }],
        ['PATCH', `/sessions/${session_id}`, {}],
      ] as const) {
        const id = await demo();
        const answer = await during(
          () => other.query('DELETE FROM credentials WHERE id = $1', [id]),
          () => client.request(method, path, { ...body, [field]: model(id) }),
        );
        expect([method, path, ...refusal(answer)]).toEqual([method, path, 404, 'credential_not_found']);
        expect(answer.text).toContain(id);
      }
    },
  );

  it('sees what uses the credential by now, when it deletes', async () => {
    const [id, agent_id] = [await demo(), await create(client, '/agent', { name: 'a' })];
    const config = JSON.stringify({ name: 's', chat_model_config: model(id), fallback_chat_model_config: null });
    const answer = await during(
      () =>
        other.query(
          `INSERT INTO sessions (tenant_id, id, user_id, agent_id, config, state)
           VALUES ('default', gen_random_uuid(), 'alice', $1, $2, '{}')`,
          [agent_id, config],
        ),
      () => client.request('DELETE', `/credential/${id}`),
    );
    expect(refusal(answer)).toEqual([409, 'credential_in_use']);
  });
});

it('of many pairs at the same moment one always gives way', async () => {
  for (let round = 0; round < 40; round++) {
    const id = await demo();
    const [made, gone] = await Promise.all([
      client.request('POST', '/agent', { name: 'a', chat_model_config: model(id) }),
      client.request('DELETE', `/credential/${id}`),
    ]);
    expect([
      [201, 409],
      [404, 204],
    ]).toContainEqual([made.status, gone.status]);
  }
});

it('what names it already may be changed when it was deleted by force', async () => {
  const id = await demo();
  const agent = await create(client, '/agent', { name: 'a', chat_model_config: model(id) });
  await client.ok('DELETE', `/credential/${id}?force=true`);
  await client.ok('PATCH', `/agent/${agent}`, { name: 'b' });
  const again = await client.request('PATCH', `/agent/${agent}`, { fallback_chat_model_config: model(id) });
  expect(refusal(again)).toEqual([404, 'credential_not_found']);
});
