import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { execFile } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createTestDatabase, query, type TestDatabase } from '../support/postgres.js';

/** `npm run migrate`, below the launcher. */
const MIGRATE = join(import.meta.dirname, '..', '..', 'dist', 'src', 'migrate.js');
let database: TestDatabase;

beforeAll(async () => {
  database = await createTestDatabase();
});
afterAll(() => database.drop());

function migrate(url: string): Promise<{ code: number; lines: string[] }> {
  return new Promise((resolve) => {
    const env = { PATH: process.env.PATH, DATABASE_URL: url };
    execFile(process.execPath, [MIGRATE], { cwd: tmpdir(), env }, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, lines: (stdout + stderr).trim().split('\n') }),
    );
  });
}

it('brings the schema up to date, and finds it so the second time', async () => {
  for (let time = 0; time < 2; time++) {
    expect(await migrate(database.url)).toEqual({ code: 0, lines: ['The schema is up to date.'] });
  }
  const { rows } = await query(database.url, 'SELECT count(*)::int AS n FROM schema_migrations');
  expect(rows[0]?.['n']).toBeGreaterThan(0);
  await query(database.url, 'SELECT 1 FROM sessions');
});

it('says in one line why it cannot', async () => {
  const { code, lines } = await migrate('postgresql://nobody:hunter2@127.0.0.1:1/none');
  expect(code).toBe(1);
  expect(lines).toEqual([expect.stringMatching(/^The migration failed: DATABASE_URL: .*ECONNREFUSED/)]);
  expect(lines[0]).not.toContain('hunter2');
});
