import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/** `npm run credentials:rotate`, below the launcher. */
const ROTATE = join(import.meta.dirname, '..', '..', 'dist', 'src', 'rotate.js');

export interface Rotation {
  readonly child: ChildProcess;
  output(): string;
  /** Exit code (null: killed), and what it wrote to its standard output. */
  readonly ended: Promise<{ code: number | null; stdout: string; output: string }>;
}

export function startRotation(env: Record<string, string>, args: string[] = []): Rotation {
  const child = spawn(process.execPath, ['--enable-source-maps', ROTATE, ...args], {
    cwd: tmpdir(),
    env: { PATH: process.env.PATH, HOME: process.env.HOME, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, all] = ['', ''];
  child.stdout?.setEncoding('utf8').on('data', (text: string) => {
    stdout += text;
    all += text;
  });
  child.stderr?.setEncoding('utf8').on('data', (text: string) => (all += text));
  const ended = once(child, 'close').then(([code]) => ({ code: code as number | null, stdout, output: all }));
  return { child, output: () => all, ended };
}

export const rotate = (env: Record<string, string>, ...args: string[]) => startRotation(env, args).ended;
