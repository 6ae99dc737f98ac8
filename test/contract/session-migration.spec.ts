import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { MIGRATIONS } from '../../migrations/all.js';
import { Sessions1764200000000 } from '../../migrations/1764200000000-sessions.js';
import { Principal } from '../../src/auth/principal.js';
import { ENTITIES } from '../../src/aerie.module.js';
import { Database } from '../../src/platform/database/database.js';
import { migrate } from '../../src/platform/database/database.module.js';
import { newId } from '../../src/platform/ids.js';
import { SessionConfig } from '../../src/sessions/session.schema.js';
import { SessionTypeormStore } from '../../src/sessions/session.typeorm-store.js';
import { createTestDatabase, type TestDatabase } from '../support/postgres.js';

let files: TestDatabase;
beforeAll(async () => {
  files = await createTestDatabase();
});
afterAll(() => files.drop());

const connect = (migrations: typeof MIGRATIONS) =>
  Database.connect({ url: files.url, pool: 2, application_name: 'test', entities: ENTITIES, migrations });

it('gives sessions of before the fields that a configuration has now', async () => {
  const before = await connect(MIGRATIONS.slice(0, MIGRATIONS.indexOf(Sessions1764200000000)));
  await migrate(before, files.url);
  const old = { name: 's', chat_model_config: null, fallback_chat_model_config: null };
  const newer = { ...old, permission_mode: 'explore', permission_rules: [], disabled_tools: ['x'] };
  const agent = newId();
  await before.run('agent', `INSERT INTO agents (tenant_id, id, user_id, data) VALUES ('acme', $1, 'alice', '{}')`, [
    agent,
  ]);
  const made = await Promise.all(
    [old, newer].map(async (config) => {
      const id = newId();
      await before.run(
        'session',
        `INSERT INTO sessions (tenant_id, id, user_id, agent_id, config, state) VALUES ('acme', $1, 'alice', $2, $3, '{}')`,
        [id, agent, config],
      );
      await before.run('lease', `INSERT INTO session_leases (tenant_id, session_id) VALUES ('acme', $1)`, [id]);
      return id;
    }),
  );
  await before.close();

  const after = await connect(MIGRATIONS);
  await migrate(after, files.url);
  const store = new SessionTypeormStore(after);
  const read = await Promise.all(made.map((id) => store.get(new Principal('acme', 'alice'), id)));
  const defaults = { permission_mode: 'default', permission_rules: [], disabled_tools: [], metadata: {} };
  expect(read.map((it) => it?.config)).toEqual([
    { ...defaults, ...old },
    { ...defaults, ...newer },
  ]);
  for (const session of read) expect(SessionConfig.parse(session?.config)).toEqual(session?.config);
  await after.close();
});
