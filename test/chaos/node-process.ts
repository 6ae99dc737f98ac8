import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { appendFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const HOST = join(import.meta.dirname, 'host.mjs');
const OUTPUT_CHARS = 64 * 1024;
/** A folder in which to keep what every node wrote, for whoever looks into a failure. */
const OUTPUT_FOLDER = process.env['AERIE_CHAOS_OUTPUT'];

export type Role = 'api' | 'worker' | 'scheduler';

/** One process of the service. */
export interface NodeProcess {
  readonly url: string;
  readonly pid: number;
  /** The end of what it wrote to its outputs. */
  output(): string;
  /** Resolves when it has gone. */
  readonly exited: Promise<number | null>;
  /** Without notice (SIGKILL); resolves when it has gone. */
  kill(): Promise<void>;
  /** Asks it to end and gives its exit code. */
  stop(): Promise<number | null>;
  /** Stops it where it stands, and lets it go on. */
  freeze(): void;
  thaw(): void;
}

export function keepOutput(name: string, text: string): void {
  if (OUTPUT_FOLDER) appendFileSync(join(OUTPUT_FOLDER, `${name}.log`), text);
}

const running = new Set<NodeProcess>();

/** Starts a node and resolves when it is ready; rejects with its output when it ends instead. */
export async function startNode(roles: readonly Role[], env: Readonly<Record<string, string>>): Promise<NodeProcess> {
  const child = spawn(process.execPath, ['--enable-source-maps', HOST], {
    // Not the project's folder: a developer's .env must not reach into tests.
    cwd: tmpdir(),
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,

      PORT: '0',
      LOG_LEVEL: 'warn',
      AERIE_ROLES: roles.join(','),
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe', 'ipc'],
  });
  let output = '';
  const keep = (text: string) => {
    output = (output + text).slice(-OUTPUT_CHARS);
    keepOutput(`${roles.join('-')}-${child.pid}`, text);
  };
  for (const stream of [child.stdout, child.stderr]) stream?.setEncoding('utf8').on('data', keep);
  const exited = once(child, 'exit').then(([code]) => code as number | null);
  const url = await new Promise<string>((resolve, reject) => {
    child.once('message', (message) => resolve((message as { url: string }).url));
    child.once('error', reject);
    void exited.then((code) => reject(new Error(`${roles.join()} ended with ${code} before it was ready:\n${output}`)));
  });
  const end = async (signal: NodeJS.Signals) => {
    child.kill(signal);
    return exited;
  };
  const node: NodeProcess = {
    url,
    pid: child.pid ?? 0,
    output: () => output,
    exited,
    kill: async () => void (await end('SIGKILL')),
    stop: () => end('SIGTERM'),
    freeze: () => void child.kill('SIGSTOP'),
    thaw: () => void child.kill('SIGCONT'),
  };
  running.add(node);
  void exited.then(() => running.delete(node));
  return node;
}

/** Ends every node that is still there; for the end of a suite, whatever became of it. */
export async function endAllNodes(): Promise<void> {
  await Promise.all([...running].map((node) => node.kill()));
}
