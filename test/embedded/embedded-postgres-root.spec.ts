import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { chmod, cp, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/platform/embedded/embedded-postgres.js';
import { query } from '../support/postgres.js';
import { makeDataFolder, removeDataFolder } from '../support/services.js';
import { DatabaseProcess, dataDirectoryOf, processesIn } from './database-process.js';

jest.setTimeout(180_000);

const asRoot = process.getuid?.() === 0;
const SHARED = '/var/lib/aerie';

let home: string;
let dataDir: string;
const running: EmbeddedPostgres[] = [];

async function start(folder = dataDir): Promise<EmbeddedPostgres> {
  const database = await startEmbeddedPostgres({ dataDir: folder });
  running.push(database);
  return database;
}

beforeEach(async () => {
  home = await makeDataFolder();
  await chmod(home, 0o700);
  dataDir = join(home, '.aerie');
});

afterEach(async () => {
  for (const database of running.splice(0)) await database.stop();
  await removeDataFolder(dataDir);
  await removeDataFolder(home);
});

test('a data folder under a home of mode 0700 works and keeps its data', async () => {
  const first = await start();
  await query(first.connectionString, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const folder = await dataDirectoryOf(first.connectionString);
  expect(folder.startsWith(asRoot ? `${SHARED}/` : dataDir)).toBe(true);
  await first.stop();
  const second = await start();
  expect((await query(second.connectionString, 'SELECT answer FROM kept')).rows).toEqual([{ answer: 42 }]);
  expect(await dataDirectoryOf(second.connectionString)).toBe(folder);
});

test('a data folder that was moved keeps its data', async () => {
  const first = await start();
  await query(first.connectionString, 'CREATE TABLE kept AS SELECT 42 AS answer');
  await first.stop();
  await rename(dataDir, join(home, 'moved'));
  dataDir = join(home, 'moved');
  const second = await start();
  expect((await query(second.connectionString, 'SELECT answer FROM kept')).rows).toEqual([{ answer: 42 }]);
});

// Only root keeps anything outside the data folder.
const keepsOutside = () =>
  describe('what root keeps outside the data folder', () => {
    test('belongs to root, but for the data and its socket', async () => {
      const database = await start();
      const folder = await dataDirectoryOf(database.connectionString);
      const location = await stat(join(folder, '..'));
      expect([location.uid, location.mode & 0o777]).toEqual([0, 0o755]);
      const [data, socket] = [await stat(folder), await stat(join(folder, '../run'))];
      expect(data.uid).not.toBe(0);
      expect([data.mode & 0o777, socket.mode & 0o777]).toEqual([0o700, 0o700]);
      expect((await readFile(join(dataDir, 'postgres.location'), 'utf8')).trim()).toBe(join(folder, '..'));
      expect((await stat(join(dataDir, 'postgres.password'))).uid).toBe(0);
    });

    test('is not taken up again when the data folder was deleted, and its server is stopped', async () => {
      const owner = DatabaseProcess.spawn(dataDir);
      const { connectionString } = await owner.started();
      const old = await dataDirectoryOf(connectionString);
      await owner.kill();
      await rm(dataDir, { recursive: true });
      const database = await start();
      expect(database.reused).toBe(false);
      expect(await dataDirectoryOf(database.connectionString)).not.toBe(old);
      expect(await processesIn(old)).toEqual([]);
      await rm(join(old, '..'), { recursive: true });
    });

    test('is not shared with a copy of the data folder', async () => {
      await start();
      const copy = join(home, 'copy');
      await cp(dataDir, copy, { recursive: true });
      await expect(start(copy)).rejects.toThrow(`${copy} is a copy of ${dataDir}`);
    });

    test('is not taken from a folder that others can write to', async () => {
      await (await start()).stop();
      const location = (await readFile(join(dataDir, 'postgres.location'), 'utf8')).trim();
      await chmod(location, 0o777);
      await expect(start()).rejects.toThrow('only root can write to');
      await chmod(location, 0o755);
    });

    test('is an error when data in place can no longer be reached', async () => {
      await chmod(home, 0o711);
      const database = await start();
      expect(await dataDirectoryOf(database.connectionString)).toBe(join(dataDir, 'postgres'));
      await database.stop();
      await chmod(home, 0o700);
      await expect(start()).rejects.toThrow('can no longer reach its data');
    });
  });

if (asRoot) keepsOutside();
