import { execFile } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { platform } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { hasCode } from './errno.js';

const run = promisify(execFile);
const POLL_MS = 20;

/** A process, told apart from a later one that was given the same pid. */
export interface ProcessIdentity {
  pid: number;
  startedAt: string;
}

/** Undefined when there is no such process, or only its zombie. */
export async function identify(pid: number): Promise<ProcessIdentity | undefined> {
  const seen = platform() === 'linux' ? await fromProc(pid) : await fromPs(pid);
  return seen === undefined || seen.state.startsWith('Z') ? undefined : { pid, startedAt: seen.startedAt };
}

async function fromProc(pid: number): Promise<{ state: string; startedAt: string } | undefined> {
  try {
    const line = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The command name may hold blanks and brackets; the numbered fields follow its last bracket.
    const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
    return { state: fields[0] ?? '', startedAt: fields[19] ?? '' };
  } catch (error) {
    if (hasCode(error, 'ENOENT', 'ESRCH')) return undefined;
    throw error;
  }
}

async function fromPs(pid: number): Promise<{ state: string; startedAt: string } | undefined> {
  const output = await psColumns(pid, 'stat=,lstart=');
  if (output === undefined) return undefined;
  const [state = '', ...started] = output.split(/\s+/);
  return { state, startedAt: started.join(' ') };
}

export async function psColumns(pid: number, columns: string): Promise<string | undefined> {
  try {
    const { stdout } = await run('ps', ['-o', columns, '-p', String(pid)], { env: { PATH: '/bin:/usr/bin' } });
    return stdout.trim() || undefined;
  } catch (error) {
    if (hasCode(error, 1)) return undefined;
    throw error;
  }
}

export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await identify(identity.pid))?.startedAt === identity.startedAt;
}

/** False when the process still runs after that time. */
export async function waitForExit(identity: ProcessIdentity, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (await isRunning(identity)) {
    if (performance.now() > deadline) return false;
    await delay(POLL_MS);
  }
  return true;
}

/** True unless the process had gone. */
export function sendSignal(pid: number, signal: NodeJS.Signals): boolean {
  try {
    return process.kill(pid, signal);
  } catch (error) {
    if (hasCode(error, 'ESRCH')) return false;
    throw error;
  }
}
