import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { createHash, randomUUID } from 'node:crypto';
import { keyIdOf } from '../../src/platform/crypto/key-ring.js';
import { ApiClient } from '../support/client.js';
import { create, refusal } from '../support/crud.js';
import { eventually } from '../support/eventually.js';
import { databaseEnv, newKey } from '../support/rig.js';
import { rotate, startRotation } from '../support/rotation.js';
import { sealAlone } from '../support/sealed-alone.js';
import { KEYED_HOST, runToExit, type Service, startService } from '../support/service.js';

/** Several batches of each, so that a rotation can be ended in the middle. */
const TENANTS = 150;
const SEALED_ALONE = 400;
const TALKING = 6;

const type = 'keyed_credential';
const [OLD, NEW] = [newKey(), newKey()];
const kid = (key: string) => keyIdOf(Buffer.from(key, 'base64'));
const fingerprint = (secret: string) => `key ${createHash('sha256').update(secret).digest('hex').slice(0, 12)}`;
const tenant = (n: number) => `tenant-${n}`;
const secretOf = (n: number) => `sk-canary-${n}`;

let database: Awaited<ReturnType<typeof databaseEnv>>;
let service: Service;
let credentials: string[];

const env = (ring: string[]) => ({ ...database.env, AERIE_ENCRYPTION_KEYS: ring.join(',') });
const start = (ring: string[]) => startService({ env: env(ring), program: KEYED_HOST });
const clientOf = (n: number) => new ApiClient(service.url, 'alice', { 'x-tenant-id': tenant(n) });

beforeAll(async () => {
  database = await databaseEnv();
  service = await start([OLD]);
  credentials = [];
  for (let from = 0; from < TENANTS; from += 10) {
    const some = Array.from({ length: 10 }, (_, n) => from + n);
    const made = some.map((n) => create(clientOf(n), '/credential', { data: { type, api_key: secretOf(n) } }));
    credentials.push(...(await Promise.all(made)));
  }
  await database.sql(insertSealedAlone());
}, 60_000);
afterAll(async () => {
  await service.stop();
  await database.drop();
});

/** Credentials as the first schema had them, of tenants with a data key and of others. */
function insertSealedAlone(): string {
  const rows = Array.from({ length: SEALED_ALONE }, (_, n) => {
    const id = randomUUID();
    const secrets = sealAlone(Buffer.from(OLD, 'base64'), { api_key: `sk-alone-${n}` }, tenant(n), id);
    const data = { type, name: 'alone', region: `${n}` };
    return `('${tenant(n)}', '${id}', 'alice', '${type}', 'alone', '${JSON.stringify(data)}', '${JSON.stringify(secrets)}')`;
  });
  return `INSERT INTO credentials (tenant_id, id, user_id, type, name, data, secrets) VALUES ${rows.join(',')}`;
}

async function sessionWith(n: number, credential_id: string): Promise<string> {
  const chat_model_config = { type, credential_id, model: 'm' };
  const agent_id = await create(clientOf(n), '/agent', { name: 'a', chat_model_config });
  return create(clientOf(n), '/sessions', { agent_id });
}

async function said(n: number, session_id: string): Promise<string> {
  const body = { session_id, input: { content: 'hello' } };
  const answer = await clientOf(n).ok<{ message: { content: { text: string }[] } }>('POST', '/chat?wait=true', body);
  return answer.message.content[0]?.text ?? '';
}

const aloneOf = async (n: number) => {
  const list = await clientOf(n).ok<{ credentials: { id: string; data: { name: string } }[] }>('GET', '/credential');
  return list.credentials.find((it) => it.data.name === 'alone')?.id ?? '';
};

/** Reads, changes and uses credentials of both forms until it is told to end; every answer is checked. */
async function work(n: number, until: { over: boolean; rounds: number }): Promise<void> {
  const client = clientOf(n);
  const alone = await aloneOf(n);
  const sessions = [await sessionWith(n, credentials[n] ?? ''), await sessionWith(n, alone)];
  for (let round = 0; !until.over; round++) {
    expect(await Promise.all(sessions.map((id) => said(n, id)))).toEqual([
      fingerprint(secretOf(n)),
      fingerprint(`sk-alone-${n}`),
    ]);
    for (const id of [credentials[n], alone]) {
      const region = `r${round}`;
      const patched = await client.request('PATCH', `/credential/${id}`, { data: { region } });
      expect([patched.status, patched.text]).toEqual([200, expect.stringContaining(region)]);
      expect((await client.request('GET', `/credential/${id}`)).text).toContain(region);
    }
    const extra = await create(client, '/credential', { data: { type, api_key: 'sk-extra' } });
    expect((await client.request('DELETE', `/credential/${extra}`)).status).toBe(204);
    until.rounds += 1;
  }
}

it('says before it begins that the old key is in use, and changes nothing by that', async () => {
  const { code, stdout } = await rotate(env([NEW, OLD]), '--check');
  expect([code, stdout]).toEqual([
    2,
    `key ${kid(OLD)}: ${TENANTS} data keys, ${SEALED_ALONE} secrets (old key, still in use)\n`,
  ]);
  expect((await rotate(env([OLD]), '--check')).code).toBe(2);
}, 30_000);

it('moves everything to the first key while the service works, also when it is killed in the middle', async () => {
  await service.stop();
  service = await start([NEW, OLD]);
  const until = { over: false, rounds: 0 };
  const working = Promise.all(Array.from({ length: TALKING }, (_, n) => work(n, until))).catch((error: unknown) => {
    until.over = true;
    throw error;
  });
  try {
    await eventually(() => until.rounds >= TALKING || until.over || undefined);
    const broken = startRotation(env([NEW, OLD]));
    await eventually(() => /\d+ secrets sealed anew/.test(broken.output()) || undefined, 30_000);
    broken.child.kill('SIGKILL');
    expect((await broken.ended).code).toBe(null);

    const between = await rotate(env([NEW, OLD]), '--check');
    expect(between.code).toBe(2);
    const left = await database.sql("SELECT count(*)::int AS n FROM credentials WHERE secrets->>'v' = '1'");
    expect(left[0]?.['n']).toBeGreaterThan(0);
    expect(left[0]?.['n']).toBeLessThan(SEALED_ALONE);

    const rounds = until.rounds;
    // Two at once get into each other's way and do no harm.
    const [done, twin] = await Promise.all([rotate(env([NEW, OLD])), rotate(env([NEW, OLD]))]);
    expect([done.code, twin.code, (done.output + twin.output).includes('canary')]).toEqual([0, 0, false]);
    expect(done.stdout).toMatch(
      new RegExp(
        `^data keys wrapped anew: \\d+\nsecrets sealed anew: \\d+\nunreadable: 0\nkey ${kid(NEW)}: 400 data keys, 0 secrets \\(first key\\)\n.*may be removed\\.\n$`,
      ),
    );
    await eventually(() => until.rounds > rounds + TALKING || until.over || undefined, 30_000);
  } finally {
    until.over = true;
  }
  await working;
}, 120_000);

it('needs the old key no more', async () => {
  expect((await rotate(env([NEW, OLD]), '--check')).code).toBe(0);
  const again = await rotate(env([NEW]));
  expect([again.code, again.stdout.split('\n').slice(0, 3)]).toEqual([
    0,
    ['data keys wrapped anew: 0', 'secrets sealed anew: 0', 'unreadable: 0'],
  ]);
  await service.stop();
  const refused = await runToExit({ env: env([OLD]), program: KEYED_HOST });
  expect(refused.output).toContain(`sealed with key ${kid(NEW)}, which this process lacks`);
  service = await start([NEW]);
  for (const n of [0, 70, TENANTS - 1]) {
    expect(await said(n, await sessionWith(n, credentials[n] ?? ''))).toBe(fingerprint(secretOf(n)));
    expect(await said(n, await sessionWith(n, await aloneOf(n)))).toBe(fingerprint(`sk-alone-${n}`));
  }
}, 60_000);

it('names what it cannot read, moves the rest, and says so by its exit code', async () => {
  const next = newKey();
  await database.sql(`UPDATE tenant_keys SET bytes = '\\x00' WHERE tenant_id = '${tenant(3)}'`);
  const id = randomUUID();
  const foreign = sealAlone(Buffer.from(newKey(), 'base64'), { api_key: 'sk-canary' }, tenant(4), id);
  await database.sql(
    `INSERT INTO credentials (tenant_id, id, user_id, type, name, data, secrets)
     VALUES ('${tenant(4)}', '${id}', 'alice', '${type}', 'lost', '{}', '${JSON.stringify(foreign)}')`,
  );
  const { code, output, stdout } = await rotate(env([next, NEW]));
  expect(code).toBe(1);
  expect(stdout).toContain('data keys wrapped anew: 399\nsecrets sealed anew: 0\nunreadable: 2\n');
  expect(output).toMatch(new RegExp(`unreadable data key [0-9a-f-]+ of tenant "${tenant(3)}": too short to be sealed`));
  expect(output).toMatch(new RegExp(`unreadable credential ${id} of tenant "${tenant(4)}": no key ${foreign.kid}`));
  expect(stdout).toContain(`key ${kid(NEW)}: 1 data keys, 0 secrets (old key, still in use)`);
  expect(stdout).toContain(`key ${foreign.kid}: 0 data keys, 1 secrets (not in the ring)`);
  expect(output).not.toContain('canary');

  await database.sql(`DELETE FROM credentials WHERE id = '${id}'`);
  await service.stop();
  service = await start([next, NEW]);
  const broken = await clientOf(3).request('PATCH', `/credential/${credentials[3]}`, { data: { region: 'x' } });
  expect(refusal(broken)).toEqual([500, 'credential_unreadable']);
  expect(await said(5, await sessionWith(5, credentials[5] ?? ''))).toBe(fingerprint(secretOf(5)));
}, 60_000);

it('takes no other argument than --check, and says why it cannot begin', async () => {
  expect(await rotate(env([NEW]), '--chekc')).toMatchObject({ code: 1, stdout: '' });
  const away = await rotate({
    DATABASE_URL: 'postgresql://nobody:hunter2@127.0.0.1:1/none',
    AERIE_ENCRYPTION_KEYS: NEW,
  });
  expect(away).toMatchObject({
    code: 1,
    stdout: '',
    output: expect.stringMatching(/^The rotation failed: DATABASE_URL: /),
  });
  expect(away.output).not.toContain('hunter2');
});
