import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { once } from 'node:events';
import http from 'node:http';
import type { ApiClient } from '../support/client.js';
import { NOWHERE, refusal } from '../support/crud.js';
import { eventually } from '../support/eventually.js';
import { type Rig, startRig } from '../support/rig.js';

let rig: Rig;
let client: ApiClient;

beforeAll(async () => {
  rig = await startRig();
  client = rig.client();
}, 30_000);
afterAll(() => rig.stop());

/** A session on whose record so many messages of so many characters are. */
async function grown(count: number, size: number): Promise<string> {
  const { session_id } = await client.demoSession();
  await rig.sql(`
    INSERT INTO messages (tenant_id, session_id, reply_id, step, run_id, role, position, data)
    SELECT tenant_id, id, 'm' || n, 0, id, 'user', n, jsonb_build_object(
      'head', jsonb_build_object('id', 'm' || n, 'name', 'user', 'role', 'user', 'metadata', '{}'::jsonb,
        'created_at', '2026-01-01T00:00:00.000Z', 'finished_at', '2026-01-01T00:00:00.000Z', 'finished_reason', null,
        'usage', null, 'error', null, 'structured_output', null),
      'content', jsonb_build_array(jsonb_build_object('type', 'text', 'id', 'b' || n, 'text', repeat('x', ${size}),
        'created_at', '2026-01-01T00:00:00.000Z', 'finished_at', '2026-01-01T00:00:00.000Z')))
    FROM sessions, generate_series(1, ${count}) n WHERE id = '${session_id}'`);
  await rig.sql(`UPDATE session_leases SET last_seq = ${count} WHERE session_id = '${session_id}'`);
  return session_id;
}

/** The response of an export that is not read yet. */
async function opened(session_id: string): Promise<http.IncomingMessage> {
  const request = http.get(`${rig.url}/sessions/${session_id}/export`, { headers: { 'x-user-id': 'alice' } });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return response;
}

const linesOf = (text: string) =>
  text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);

describe('an export', () => {
  it('is the record, every message and their number, as lines of JSON in a file', async () => {
    const { session_id } = await client.demoSession('mine / yours'.replaceAll(' / ', ' & '));
    await client.ok('PATCH', `/sessions/${session_id}`, { name: 'a "name"\r\nX: y', metadata: { env: 'prod' } });
    await client.request('POST', '/chat?wait=true', { session_id, input: { content: 'hello' } });
    const answer = await client.request('GET', `/sessions/${encodeURIComponent('mine & yours')}/export`);
    expect([answer.status, answer.headers.get('content-type'), answer.headers.get('content-disposition')]).toEqual([
      200,
      'application/x-ndjson',
      `attachment; filename="session-${session_id}.ndjson"`,
    ]);
    const { session } = await client.ok<{ session: object }>('GET', `/sessions/${session_id}`);
    const { messages, as_of_seq } = await client.messages(session_id);
    expect(linesOf(answer.text)).toEqual([
      { type: 'session', ...session, as_of_seq },
      ...messages.map((message) => ({ type: 'message', message })),
      { type: 'end', messages: 2 },
    ]);
  });

  it('is as good for 2,000 messages', async () => {
    const session_id = await grown(2000, 100);
    const lines = linesOf((await client.request('GET', `/sessions/${session_id}/export`)).text);
    const ids = lines.slice(1, -1).map((line) => (line['message'] as { id: string }).id);
    expect(ids).toEqual(Array.from({ length: 2000 }, (_, i) => `m${i + 1}`));
    expect(lines.at(-1)).toEqual({ type: 'end', messages: 2000 });
  });

  it('waits for its reader: what follows is not read before it is wanted', async () => {
    const session_id = await grown(400, 200_000);
    const response = await opened(session_id);
    const [first] = (await once(response, 'data')) as [Buffer];
    response.pause();
    // Everything behind what is under way is gone before it was read, and the export says so by not ending.
    await rig.sql(`DELETE FROM messages WHERE session_id = '${session_id}' AND position > 300`);
    const chunks = [first];
    for await (const chunk of response) chunks.push(chunk as Buffer);
    const lines = linesOf(Buffer.concat(chunks).toString());
    expect(lines.at(-1)).toEqual({ type: 'end', messages: 300 });
  });

  it('is cut off, without its end, when the session is deleted meanwhile', async () => {
    const session_id = await grown(400, 200_000);
    const response = await opened(session_id);
    const [first] = (await once(response, 'data')) as [Buffer];
    response.pause();
    await client.ok('DELETE', `/sessions/${session_id}`);
    const chunks = [first];
    const read = async () => {
      for await (const chunk of response) chunks.push(chunk as Buffer);
    };
    await expect(read()).rejects.toMatchObject({ code: 'ECONNRESET' });
    expect(Buffer.concat(chunks).toString()).not.toContain('"type":"end"');
    expect(rig.service.output()).toContain('An export broke off');
    expect((await client.request('GET', '/liveness')).status).toBe(200);
  });

  it('lets go of everything when its reader leaves', async () => {
    const session_id = await grown(400, 200_000);
    const response = await opened(session_id);
    const said = rig.service.output();
    await once(response, 'data');
    response.destroy();
    const busy = `SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = current_database() AND state <> 'idle' AND pid <> pg_backend_pid()`;
    expect(await eventually(async () => ((await rig.sql(busy))[0]?.['n'] === 0 ? 'idle' : undefined))).toBe('idle');
    expect(rig.service.output()).toBe(said);
  });

  it('is refused for what is not there', async () => {
    const { session_id } = await client.demoSession();
    for (const answer of [
      await client.request('GET', `/sessions/${NOWHERE}/export`),
      await client.request('GET', `/sessions/${session_id}/export?agent_id=${NOWHERE}`),
      await rig.client('mallory').request('GET', `/sessions/${session_id}/export`),
    ]) {
      expect(refusal(answer)).toEqual([404, 'session_not_found']);
    }
  });
});
