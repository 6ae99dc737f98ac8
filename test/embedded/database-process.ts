import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdir, readlink, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { hasCode } from '../../src/platform/embedded/errno.js';
import { query } from '../support/postgres.js';

export interface Started {
  reused: boolean;
  connectionString: string;
}

/** A process that holds an embedded database, to be killed. */
export class DatabaseProcess {
  private readonly exited: Promise<unknown>;
  private faults = '';

  private constructor(private readonly child: ChildProcess) {
    this.exited = once(child, 'close');
    child.stderr?.on('data', (chunk: Buffer) => (this.faults += chunk.toString()));
  }

  static spawn(dataDir: string): DatabaseProcess {
    const script = join(import.meta.dirname, 'start-database.mjs');
    return new DatabaseProcess(spawn(process.execPath, [script, dataDir], { stdio: 'pipe' }));
  }

  async started(): Promise<Started> {
    if (!this.child.stdout) throw new Error('no output');
    for await (const line of createInterface(this.child.stdout)) return JSON.parse(line) as Started;
    throw new Error(`ended before it was up: ${this.faults}`);
  }

  /** Ends it without notice. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.exited;
  }

  /** Lets it stop its database and end. */
  async close(): Promise<void> {
    this.child.stdin?.end();
    await this.exited;
  }
}

export async function dataDirectoryOf(url: string): Promise<string> {
  return String((await query(url, 'SHOW data_directory')).rows[0]?.['data_directory']);
}

/** Processes that work in this folder; on systems without /proc none can be told. */
export async function processesIn(folder: string): Promise<number[]> {
  const found: number[] = [];
  const target = await realpath(folder);
  const names = await readdir('/proc').catch(ifAbsent([]));
  for (const name of names.filter((entry) => /^\d+$/.test(entry))) {
    if ((await readlink(`/proc/${name}/cwd`).catch(ifAbsent(''))) === target) found.push(Number(name));
  }
  return found;
}

/** Another user's process, or one that has gone meanwhile. */
function ifAbsent<T>(value: T): (error: unknown) => T {
  return (error) => {
    if (hasCode(error, 'ENOENT', 'ESRCH', 'EACCES', 'EPERM')) return value;
    throw error;
  };
}
