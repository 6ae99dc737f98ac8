import { afterEach, beforeEach, expect, jest, test } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, readdir, readFile, stat, watch, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../src/platform/embedded/embedded-postgres.js';
import { findPostmaster } from '../../src/platform/embedded/postmaster.js';
import { identify, waitForExit } from '../../src/platform/embedded/process-identity.js';
import { query } from '../support/postgres.js';
import { makeDataFolder, removeDataFolder } from '../support/services.js';
import { DatabaseProcess, dataDirectoryOf, processesIn } from './database-process.js';

jest.setTimeout(180_000);

let dataDir: string;
const running: EmbeddedPostgres[] = [];

async function start(log?: (line: string) => void): Promise<EmbeddedPostgres> {
  const database = await startEmbeddedPostgres({ dataDir, log });
  running.push(database);
  return database;
}

/** A folder whose server lost its parent: data in it, nobody in charge. */
async function orphan(): Promise<{ folder: string; pid: number }> {
  const owner = DatabaseProcess.spawn(dataDir);
  const { connectionString } = await owner.started();
  await query(connectionString, 'CREATE TABLE kept AS SELECT 42 AS answer');
  const folder = await dataDirectoryOf(connectionString);
  await owner.kill();
  const pid = Number((await readFile(join(folder, 'postmaster.pid'), 'utf8')).split('\n')[0]);
  expect(await findPostmaster(folder)).toMatchObject({ pid });
  return { folder, pid };
}

async function expectKept(database: EmbeddedPostgres): Promise<void> {
  expect((await query(database.connectionString, 'SELECT answer FROM kept')).rows).toEqual([{ answer: 42 }]);
}

async function killServer(pid: number): Promise<void> {
  const identity = await identify(pid);
  process.kill(pid, 'SIGKILL');
  if (identity) expect(await waitForExit(identity, 60_000)).toBe(true);
}

beforeEach(async () => {
  dataDir = await makeDataFolder();
});

afterEach(async () => {
  for (const database of running.splice(0)) await database.stop();
  await removeDataFolder(dataDir);
});

test('the server of a killed process is taken over and can be stopped', async () => {
  const { folder } = await orphan();
  const database = await start();
  expect(database.reused).toBe(true);
  await expectKept(database);
  await database.stop();
  expect(await processesIn(folder)).toEqual([]);
});

test('a server that was killed itself is started again on its data', async () => {
  const { pid } = await orphan();
  await killServer(pid);
  const database = await start();
  expect(database.reused).toBe(false);
  await expectKept(database);
});

test('a pid that another program was given does not keep the server from starting', async () => {
  const { folder, pid } = await orphan();
  await killServer(pid);
  const { uid, gid } = await stat(folder);
  // Of the server's own user: such a process would make PostgreSQL refuse.
  const other = spawn('sleep', ['600'], { uid, gid, stdio: 'ignore' });
  await once(other, 'spawn');
  const pidFile = join(folder, 'postmaster.pid');
  await writeFile(pidFile, (await readFile(pidFile, 'utf8')).replace(/^\d+/, String(other.pid)));
  const database = await start();
  expect(database.reused).toBe(false);
  await expectKept(database);
  expect(other.exitCode ?? other.signalCode).toBeNull();
  other.kill();
  await once(other, 'exit');
});

test('a server that does not answer is stopped and started anew', async () => {
  const { pid } = await orphan();
  process.kill(pid, 'SIGSTOP');
  const lines: string[] = [];
  const database = await start((line) => lines.push(line));
  expect(database.reused).toBe(false);
  expect(lines.join('\n')).toContain('does not answer');
  await expectKept(database);
  expect(await identify(pid)).toBeUndefined();
});

test('an initdb that was cut short is made again', async () => {
  const seen = drafts();
  const first = DatabaseProcess.spawn(dataDir);
  await seen;
  await first.kill();
  const database = await start();
  expect(database.reused).toBe(false);
  expect((await query(database.connectionString, 'SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
  expect((await readdir(dataDir)).filter((name) => name.startsWith('postgres.init'))).toEqual([]);
});

/** Resolves once the draft of a cluster is being written. */
async function drafts(): Promise<void> {
  for await (const { filename } of watch(dataDir)) {
    if (filename?.startsWith('postgres.init-')) return;
  }
}

test('leftovers of a first start do not count as data', async () => {
  await mkdir(join(dataDir, 'postgres.init-0123456789ab', 'base'), { recursive: true });
  await writeFile(join(dataDir, 'postgres.init-0123456789ab', 'PG_VERSION'), '12\n');
  expect((await start()).reused).toBe(false);
});

test('the lock of a starter that died is taken over', async () => {
  await writeFile(join(dataDir, 'postgres.lock'), `${process.pid}\nanother process had this pid\n`);
  expect((await start()).reused).toBe(false);
  expect(await readdir(dataDir)).not.toContain('postgres.lock');
});
