import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { BenchError } from './processes.mjs';

const PATH = join(tmpdir(), 'aerie-bench.lock');

/** Two benches on one machine spoil each other's figures: the second one is refused. Returns the release. */
export function takeLock() {
  for (;;) {
    try {
      writeFileSync(PATH, String(process.pid), { flag: 'wx' });
      return () => rmSync(PATH, { force: true });
    } catch (error) {
      if (error.code !== 'EEXIST') throw error;
    }
    const holder = holderOf();
    if (holder !== undefined) throw new BenchError(`Another bench runs (process ${holder}, ${PATH}).`);
    rmSync(PATH, { force: true });
  }
}

function holderOf() {
  try {
    const pid = Number(readFileSync(PATH, 'utf8'));
    process.kill(pid, 0);
    return pid;
  } catch (error) {
    if (error.code === 'ENOENT' || error.code === 'ESRCH') return undefined;
    if (error.code === 'EPERM') return 'of another user';
    throw error;
  }
}
