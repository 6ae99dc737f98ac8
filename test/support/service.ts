import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { makeDataFolder, removeDataFolder } from './services.js';

const ROOT = join(import.meta.dirname, '..', '..');
const MAIN = join(ROOT, 'dist', 'src', 'main.js');
/** The service with credential types of a host application. */
export const KEYED_HOST = join(import.meta.dirname, 'keyed-host.mjs');

/** The service with tools, groups of tools and middleware of a host application. */
export const AGENT_HOST = join(import.meta.dirname, 'agent-host.mjs');

export interface ServiceOptions {
  /** Added to an environment that is otherwise empty of the service's variables. */
  env?: Record<string, string>;
  /** Kept by the caller, to start again on it; a temporary one otherwise. */
  dataDir?: string;
  /** Another program than the service itself, which says the same when it is ready. */
  program?: string;
}

/** A real process of the built service on a free port. */
export interface Service {
  readonly url: string;
  readonly pid: number;
  /** Everything it wrote to its outputs. */
  output(): string;
  /** Asks it to end (SIGTERM) and gives its exit code. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
  /** Ends it without notice. */
  kill(): Promise<void>;
}

/** Starts the service and resolves when it is ready; rejects with its output when it ends instead. */
export async function startService(options: ServiceOptions = {}): Promise<Service> {
  const { child, output, exited, dispose } = await spawnService(options);
  const url = await new Promise<string>((resolve, reject) => {
    const look = () => {
      const match = /API\s+(http:\S+)/.exec(output());
      if (match?.[1]) resolve(match[1]);
    };
    child.stderr?.on('data', look);
    void exited.then(async (code) => {
      await dispose();
      reject(new Error(`the service ended with ${code}:\n${output()}`));
    });
  });
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    const code = await exited;
    await dispose();
    return code;
  };
  return { url, pid: child.pid ?? 0, output, stop, kill: async () => void (await stop('SIGKILL')) };
}

/** For starts that are expected to fail: the exit code and what was said. */
export async function runToExit(options: ServiceOptions): Promise<{ code: number | null; output: string }> {
  const { output, exited, dispose } = await spawnService(options);
  const code = await exited;
  await dispose();
  return { code, output: output() };
}

async function spawnService({ env = {}, dataDir, program = MAIN }: ServiceOptions) {
  const folder = dataDir ?? (await makeDataFolder());
  const child: ChildProcess = spawn(process.execPath, ['--enable-source-maps', program], {
    // Not the project's folder: a developer's .env must not reach into tests.
    cwd: tmpdir(),
    env: {
      PATH: process.env.PATH,
      HOME: process.env.HOME,
      PORT: '0',
      LOG_LEVEL: 'warn',
      AERIE_DATA_DIR: folder,
      // Where tests play servers.
      AERIE_EGRESS_ALLOW: 'localhost',
      ...env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  const chunks: string[] = [];
  for (const stream of [child.stdout, child.stderr])
    stream?.setEncoding('utf8').on('data', (text: string) => chunks.push(text));
  const exited = once(child, 'close').then(([code]) => code as number | null);
  const dispose = async () => {
    if (dataDir === undefined) await removeDataFolder(folder);
  };
  return { child, output: () => chunks.join(''), exited, dispose };
}
