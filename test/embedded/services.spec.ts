import { expect, test } from '@jest/globals';
import { createTestDatabase, query } from '../support/postgres.js';
import { startRedis } from '../support/redis.js';

test('a suite gets a database of its own and drops it', async () => {
  const database = await createTestDatabase();
  const result = await query(database.url, 'SELECT current_database() AS name');
  expect(database.url).toContain(String(result.rows[0]?.['name']));
  await database.drop();
  await expect(query(database.url, 'SELECT 1')).rejects.toThrow('does not exist');
});

test('a suite kills its Redis and starts it again on the same port', async () => {
  const first = await startRedis();
  await first.kill();
  const second = await startRedis({ port: first.port });
  expect(second.url).toBe(first.url);
  await second.stop();
});
