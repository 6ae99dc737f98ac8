import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { makeDataFolder, removeDataFolder } from '../support/services.js';

/** `npm start` as a newcomer gets it: through npm, the launcher, the service and its embedded database. */
const ROOT = join(import.meta.dirname, '..', '..');
let dataDir: string;
const running: ChildProcess[] = [];

beforeEach(async () => {
  dataDir = await makeDataFolder();
});
afterEach(async () => {
  for (const child of running.splice(0)) {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'close');
    }
  }
  await removeDataFolder(dataDir);
});

async function npmStart(): Promise<{ child: ChildProcess; url: string; output: () => string; took: number }> {
  const began = performance.now();
  const child = spawn('npm', ['start'], {
    cwd: ROOT,
    env: { PATH: process.env.PATH, HOME: process.env.HOME, PORT: '0', LOG_LEVEL: 'warn', AERIE_DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.push(child);
  let output = '';
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => (output += text));
  const url = await new Promise<string>((resolve, reject) => {
    child.stderr?.on('data', () => {
      const match = /API\s+(http:\S+)/.exec(output);
      if (match?.[1]) resolve(match[1]);
    });
    child.once('close', (code) => reject(new Error(`npm start ended with ${code}:\n${output}`)));
  });
  return { child, url, output: () => output, took: performance.now() - began };
}

/** Everything this start has running: npm and its descendants, and the database server, which is nobody's child. */
function processes({ pid = 0 }: ChildProcess): number[] {
  const parents = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map((name) => [Number(name), Number(read(`/proc/${name}/stat`).split(') ').at(-1)?.split(' ')[1])] as const);
  const tree = [pid];
  for (const parent of tree) tree.push(...parents.filter(([, of]) => of === parent).map(([child]) => child));
  const data = join(read(join(dataDir, 'postgres.location')).trim() || dataDir, 'postgres', 'postmaster.pid');
  return [...tree, Number(read(data).split('\n')[0])];
}

/** Empty when there is no such file, or the process ended while it was looked at. */
function read(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    expect(['ENOENT', 'ESRCH']).toContain((error as NodeJS.ErrnoException).code);
    return '';
  }
}

async function gone(pids: number[]): Promise<void> {
  const deadline = performance.now() + 20_000;
  const left = () => pids.filter((pid) => /^State:\s+[^Z]/m.test(read(`/proc/${pid}/status`)));
  while (left().length > 0) {
    if (performance.now() > deadline) throw new Error(`still running: ${left().join(' ')}`);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

it('says where everything is, and a line to copy that works', async () => {
  const { url, output } = await npmStart();
  for (const path of ['/docs', '/health', '/readiness', '/liveness']) expect(output()).toContain(url + path);
  const curl = /curl -H 'X-User-ID: (\w+)' (\S+)/.exec(output());
  const answer = await fetch(curl?.[2] ?? '', { headers: { 'x-user-id': curl?.[1] ?? '' } });
  expect(answer.status).toBe(200);
  expect((await fetch(`${url}/docs`)).status).toBe(200);
});

it.each(['SIGTERM', 'SIGINT'] as const)(
  'ends with everything it started on %s, and starts again in under 3 s',
  async (signal) => {
    const first = await npmStart();
    const pids = processes(first.child);
    expect(pids.length).toBeGreaterThan(3);
    first.child.kill(signal);
    const [code] = (await once(first.child, 'close')) as [number | null];
    expect(code).toBe(0);
    await gone(pids);
    const second = await npmStart();
    expect(second.took).toBeLessThan(3000);
  },
);

it('does not outlive npm when that is killed', async () => {
  const { child, url } = await npmStart();
  expect((await fetch(`${url}/liveness`)).status).toBe(200);
  const pids = processes(child);
  child.kill('SIGKILL');
  await gone(pids);
});
