import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { DataSource } from 'typeorm';
import { MIGRATIONS } from '../../migrations/all.js';
import { ENTITIES } from '../../src/aerie.module.js';
import { dataSourceOptions } from '../../src/platform/database/database.js';
import { migrate } from '../../src/platform/database/database.module.js';
import { Database } from '../../src/platform/database/database.js';
import { createTestDatabase, query, type TestDatabase } from '../support/postgres.js';

let empty: TestDatabase;
const parts = () => ({ url: empty.url, pool: 4, application_name: 'test', entities: ENTITIES, migrations: MIGRATIONS });

beforeAll(async () => {
  empty = await createTestDatabase();
});
afterAll(() => empty.drop());

it('migrates an empty database once, however many nodes start at the same time', async () => {
  const nodes = await Promise.all([1, 2, 3].map(() => Database.connect(parts())));
  await Promise.all(nodes.map((node) => migrate(node, empty.url)));
  const { rows } = await query(empty.url, 'SELECT name FROM schema_migrations');
  expect(rows.map((row) => row['name'])).toEqual(MIGRATIONS.map((migration) => new migration().name));
  await Promise.all(nodes.map((node) => node.close()));
});

it('has entities that agree with the schema the migrations make', async () => {
  const source = await new DataSource(dataSourceOptions(parts())).initialize();
  const { upQueries } = await source.driver.createSchemaBuilder().log();
  expect(upQueries.map((it) => it.query)).toEqual([]);
  await source.destroy();
});

it('undoes every migration', async () => {
  const source = await new DataSource(dataSourceOptions(parts())).initialize();
  for (let left = MIGRATIONS.length; left > 0; left--) await source.undoLastMigration();
  const { rows } = await query(
    empty.url,
    `SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_name <> 'schema_migrations'`,
  );
  expect(rows).toEqual([]);
  await source.destroy();
});
