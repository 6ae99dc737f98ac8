import { spawn } from 'node:child_process';
import { accessSync, constants } from 'node:fs';
import { chmod, mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { availableParallelism, tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { once } from 'node:events';

const OUTPUT_CHARS = 16_384;

/** A fault that its message explains in full. */
export class BenchError extends Error {}

export function onPath(name) {
  return (process.env.PATH ?? '')
    .split(delimiter)
    .filter(Boolean)
    .map((folder) => join(folder, name))
    .find((path) => {
      try {
        accessSync(path, constants.X_OK);
        return true;
      } catch (error) {
        if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(error.code)) return false;
        throw error;
      }
    });
}

const taskset = process.platform === 'linux' && availableParallelism() > 1 ? onPath('taskset') : undefined;
export const isPinned = taskset !== undefined;

/** A command that runs on one core, where the system can say so. */
export function pinned(core, command, args) {
  return taskset ? [taskset, ['-c', String(core), command, ...args]] : [command, args];
}

/** Starts a program in a group of its own (a terminal's Ctrl-C is ours to pass on) and waits until its output says that it is ready. */
export async function startProgram(name, [command, args], { ready, ...options }) {
  const child = spawn(command, args, { detached: true, ...options });
  let output = '';
  const exited = new Promise((resolve) => child.once('close', resolve));
  const stop = async () => {
    child.kill('SIGTERM');
    await exited;
  };
  const match = await new Promise((resolve, reject) => {
    const look = (text) => {
      output = (output + text).slice(-OUTPUT_CHARS);
      const found = ready.exec(output);
      if (found) resolve(found);
    };
    for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', look);
    child.once('error', (error) => reject(new BenchError(`${name} cannot be run: ${error.message}`)));
    exited.then((code) => reject(new BenchError(`${name} ended with ${code}:\n${output}`)));
  });
  return { match, pid: child.pid, output: () => output, stop };
}

/** A folder that also the account that runs the database for root can walk through; `remove` takes all that belongs to it. */
export async function makeFolder() {
  const path = await mkdtemp(join(tmpdir(), 'aerie-bench-'));
  if (process.getuid?.() === 0) await chmod(path, 0o711);
  const remove = async () => {
    const outside = await locationOf(path);
    if (outside !== undefined && dirname(outside) === '/var/lib/aerie')
      await rm(outside, { recursive: true, force: true });
    await rm(path, { recursive: true, force: true });
  };
  return { path, remove };
}

/** Where the embedded database keeps its data when it could not do so in the folder. */
async function locationOf(folder) {
  try {
    return (await readFile(join(folder, 'postgres.location'), 'utf8')).trim();
  } catch (error) {
    if (error.code === 'ENOENT') return undefined;
    throw error;
  }
}

export async function startRedis(folder) {
  const program = onPath('redis-server');
  if (!program)
    throw new BenchError('The bench needs redis-server on the PATH (Debian: apt-get install -y redis-server).');
  const port = await freePort();
  const args = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', folder];
  const redis = await startProgram('redis-server', [program, args], {
    ready: /Ready to accept connections/,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { url: `redis://127.0.0.1:${port}`, stop: redis.stop };
}

async function freePort() {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address();
  server.close();
  await once(server, 'close');
  return port;
}
