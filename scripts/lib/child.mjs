import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { constants } from 'node:os';
import { readIfPresent, SetupError } from './project.mjs';

const PARENT_CHECK_MS = 250;

export function exitCodeOf(code, signal) {
  return code ?? 128 + (constants.signals[signal] ?? 0);
}

/**
 * Runs a command in the foreground and gives its exit code. A terminal sends Ctrl-C to the child as well, so it is only
 * waited for here. Without a terminal nobody else tells the child: then its channel, if it has one, is closed, which
 * asks it to stop. SIGTERM and SIGHUP are passed on, and a parent that died (npm, its shell) counts as SIGTERM.
 */
export function supervise(command, args, options) {
  const child = spawn(command, args, options);
  const handlers = {
    SIGINT: () => {
      if (!process.stdin.isTTY && child.connected) child.disconnect();
    },
    SIGTERM: () => child.kill('SIGTERM'),
    SIGHUP: () => child.kill('SIGHUP'),
  };
  for (const [signal, handler] of Object.entries(handlers)) process.on(signal, handler);
  const stopWatching = watchParents(() => child.kill('SIGTERM'));
  const ended = new Promise((resolve, reject) => {
    child.once('error', reject);
    // Not "close", which does not come after a channel that this side closed.
    child.once('exit', (code, signal) => resolve(exitCodeOf(code, signal)));
  }).finally(() => {
    stopWatching();
    for (const [signal, handler] of Object.entries(handlers)) process.off(signal, handler);
  });
  return { child, ended };
}

/** Calls back once when npm, or the shell between npm and this process, has died. */
function watchParents(onDeath) {
  if (process.env.npm_lifecycle_event === undefined) return () => {};
  const parents = parentsNow();
  const watch = setInterval(() => {
    if (parentsNow() === parents) return;
    clearInterval(watch);
    onDeath();
  }, PARENT_CHECK_MS);
  return () => clearInterval(watch);
}

/** An orphan gets another parent; where there is no /proc only the first one shows. */
function parentsNow() {
  const stat = readIfPresent(`/proc/${process.ppid}/stat`);
  return `${process.ppid} ${stat?.slice(stat.lastIndexOf(')') + 2).split(' ')[1]}`;
}

/** Runs a step of the set-up; what it prints is shown only when it fails. */
export async function runQuietly(title, command, args, cwd) {
  console.error(`${title} …`);
  const { child, ended } = supervise(command, args, { cwd, stdio: ['ignore', 'pipe', 'pipe'] });
  const output = [];
  child.stdout.on('data', (chunk) => output.push(chunk));
  child.stderr.on('data', (chunk) => output.push(chunk));
  const [code] = await Promise.all([ended, once(child.stdout, 'close'), once(child.stderr, 'close')]);
  if (code === 0) return;
  process.stderr.write(Buffer.concat(output));
  throw new SetupError(`${title} failed with exit code ${code}.`, code);
}
