import { afterEach, beforeEach, describe, expect, jest, test } from '@jest/globals';
import { chown, mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { EmbeddedDatabaseError } from '../../src/platform/embedded/embedded-database.error.js';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/platform/embedded/embedded-postgres.js';
import { query } from '../support/postgres.js';
import { makeDataFolder, removeDataFolder } from '../support/services.js';
import { DatabaseProcess, dataDirectoryOf, processesIn } from './database-process.js';

jest.setTimeout(180_000);

let dataDir: string;
const running: EmbeddedPostgres[] = [];

async function start(folder = dataDir, log?: (line: string) => void): Promise<EmbeddedPostgres> {
  const database = await startEmbeddedPostgres({ dataDir: folder, log });
  running.push(database);
  return database;
}

async function modeOf(path: string): Promise<string> {
  return ((await stat(path)).mode & 0o777).toString(8);
}

function socketFolder({ connectionString }: EmbeddedPostgres): string {
  return new URLSearchParams(connectionString.split('?')[1]).get('host') ?? '';
}

beforeEach(async () => {
  dataDir = await makeDataFolder();
});

afterEach(async () => {
  for (const database of running.splice(0)) await database.stop();
  await removeDataFolder(dataDir);
});

describe('start and stop', () => {
  test('the first start makes a cluster, stopping leaves no process', async () => {
    const database = await start();
    expect(database.reused).toBe(false);
    const settings = `SELECT current_user AS name, current_database() AS database, version() AS version,
      current_setting('listen_addresses') AS tcp, current_setting('fsync') AS fsync,
      current_setting('synchronous_commit') AS commit, current_setting('server_encoding') AS encoding`;
    const { rows } = await query(database.connectionString, settings);
    expect(rows[0]).toMatchObject({ name: 'aerie', database: 'aerie', tcp: '', encoding: 'UTF8' });
    expect(rows[0]).toMatchObject({ fsync: 'on', commit: 'on', version: expect.stringContaining('PostgreSQL 18') });
    const folder = await dataDirectoryOf(database.connectionString);
    expect(await processesIn(folder)).not.toEqual([]);
    await database.stop();
    await database.stop();
    expect(await processesIn(folder)).toEqual([]);
  });

  test('secrets and sockets are for their owner only', async () => {
    const database = await start();
    const { connectionString } = database;
    const folder = await dataDirectoryOf(connectionString);
    expect(await modeOf(join(dataDir, 'postgres.password'))).toBe('600');
    expect(await modeOf(join(dataDir, 'postgres.log'))).toBe('600');
    expect(await modeOf(folder)).toBe('700');
    expect(await modeOf(socketFolder(database))).toBe('700');
    const left = await readdir(dataDir);
    expect(left.filter((name) => name.includes('init') || name.endsWith('.lock'))).toEqual([]);
    const password = (await readFile(join(dataDir, 'postgres.password'), 'utf8')).trim();
    await expect(query(connectionString.replace(password, 'guess'), 'SELECT 1')).rejects.toThrow('password');
  });

  test('the next start finds the data', async () => {
    const first = await start();
    await query(first.connectionString, 'CREATE TABLE kept AS SELECT 42 AS answer');
    await first.stop();
    const second = await start();
    expect(second.reused).toBe(false);
    expect(second.connectionString).toBe(first.connectionString);
    expect((await query(second.connectionString, 'SELECT answer FROM kept')).rows).toEqual([{ answer: 42 }]);
  });

  test('a path too long for a unix socket works', async () => {
    const deep = join(dataDir, 'a'.repeat(60), 'b'.repeat(60));
    await mkdir(deep, { recursive: true });
    const database = await start(deep);
    expect((await query(database.connectionString, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
    await database.stop();
    await removeDataFolder(deep);
    await rm(socketFolder(database), { recursive: true, force: true });
  });

  test('of two that start at once one starts the server and the other uses it', async () => {
    const processes = [DatabaseProcess.spawn(dataDir), DatabaseProcess.spawn(dataDir)];
    const started = await Promise.all(processes.map((each) => each.started()));
    expect(started.map(({ reused }) => reused).sort()).toEqual([false, true]);
    expect(started[0]?.connectionString).toBe(started[1]?.connectionString);
    const folder = await dataDirectoryOf(started[0]?.connectionString ?? '');
    for (const each of processes) await each.close();
    expect(await processesIn(folder)).toEqual([]);
  });

  test('two starts in one process share the server', async () => {
    const [first, second] = await Promise.all([start(), start()]);
    expect([first.reused, second.reused].sort()).toEqual([false, true]);
  });
});

describe('faults of the operator are one clear error', () => {
  async function faultOf(folder = dataDir): Promise<string> {
    const error: unknown = await start(folder).catch((caught: unknown) => caught);
    expect(error).toBeInstanceOf(EmbeddedDatabaseError);
    return (error as EmbeddedDatabaseError).message;
  }

  test('data of another major version', async () => {
    const database = await start();
    const folder = await dataDirectoryOf(database.connectionString);
    await database.stop();
    await writeFile(join(folder, 'PG_VERSION'), '12\n');
    expect(await faultOf()).toMatch(/is of PostgreSQL 12, the embedded server is 18/);
  });

  test('data of another user', async () => {
    if (process.getuid?.() !== 0) {
      expect(await faultOf('/usr')).toMatch(/^The data folder \/usr belongs to another user \(uid 0/);
      return;
    }
    const database = await start();
    const folder = await dataDirectoryOf(database.connectionString);
    await database.stop();
    await chown(folder, 12345, 12345);
    expect(await faultOf()).toMatch(/belongs to another user \(uid 12345/);
  });

  test('a lost or wrong password file', async () => {
    const database = await start();
    const file = join(dataDir, 'postgres.password');
    await rename(file, `${file}.away`);
    expect(await faultOf()).toContain('postgres.password is missing');
    await writeFile(file, 'wrong\n');
    expect(await faultOf()).toContain('does not fit the data');
    await rename(`${file}.away`, file);
    expect((await start()).reused).toBe(true);
    expect(database.reused).toBe(false);
  });

  test('a data folder that is a file, and a relative one', async () => {
    await start();
    expect(await faultOf(join(dataDir, 'postgres.password'))).toContain('cannot be made');
    expect(await faultOf('relative')).toContain('absolute');
  });
});
