import { createHash } from 'node:crypto';
import { readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

const POLL_MS = 200;
const BEAT_MS = 1_000;
const SILENT_MS = 30_000;

/** Lets one process at a time install or build a project; the lock of a process that died is taken over. */
export async function withSetupLock(root, work) {
  const hash = createHash('sha256').update(root).digest('hex').slice(0, 12);
  const path = join(tmpdir(), `aerie-setup-${process.getuid?.() ?? 0}-${hash}.lock`);
  while (!take(path)) await delay(POLL_MS);
  const beat = setInterval(() => utimesSync(path, new Date(), new Date()), BEAT_MS);
  try {
    return await work();
  } finally {
    clearInterval(beat);
    rmSync(path, { force: true });
  }
}

function take(path) {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx', mode: 0o600 });
    return true;
  } catch (error) {
    if (error.code !== 'EEXIST') throw error;
  }
  if (!isHeld(path)) rmSync(path, { force: true });
  return false;
}

/** The pid alone does not tell: after a restart of the machine another process may have it. */
function isHeld(path) {
  try {
    if (Date.now() - statSync(path).mtimeMs > SILENT_MS) return false;
    const pid = Number(readFileSync(path, 'utf8'));
    // Zero: empty between its creation and the writing of the pid.
    return pid === 0 || process.kill(pid, 0);
  } catch (error) {
    if (error.code === 'ESRCH' || error.code === 'ENOENT') return false;
    throw error;
  }
}
