import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureBuilt } from './lib/build.mjs';
import { supervise } from './lib/child.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { nodeBinary, projectRoot, readIfPresent, SetupError } from './lib/project.mjs';

const EXIT_GRACE_MS = 60_000;
const POLL_MS = 500;

/** Runs Jest and gives its exit code with the counts that its reporter left, if it came that far. */
async function runJest(root, args, more = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'aerie-summary-'));
  const path = join(folder, 'summary.json');
  try {
    const jestArgs = [
      '--experimental-vm-modules',
      '--disable-warning=ExperimentalWarning',
      join(root, 'node_modules', 'jest', 'bin', 'jest.js'),
      '--reporters=default',
      `--reporters=${join(root, 'scripts', 'lib', 'summary-reporter.mjs')}`,
      ...args,
    ];
    const env = { ...process.env, ...more, AERIE_TEST_SUMMARY: path };
    const { child, ended } = supervise(nodeBinary(root), jestArgs, { cwd: root, stdio: 'inherit', env });
    const guard = endHangingRun(child, path);
    const code = await ended.finally(() => clearInterval(guard));
    const summary = readIfPresent(path);
    return { code, counts: summary === undefined ? undefined : JSON.parse(summary) };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** A handle left open is a bug of the suite that keeps Jest from ending: it fails the run instead of hanging it. */
function endHangingRun(child, summaryPath) {
  let deadline;
  return setInterval(() => {
    if (deadline === undefined && readIfPresent(summaryPath) !== undefined) deadline = Date.now() + EXIT_GRACE_MS;
    if (deadline === undefined || Date.now() < deadline) return;
    deadline = Infinity;
    console.error('Jest does not end: a suite left something open (try --detectOpenHandles).');
    child.kill('SIGTERM');
  }, POLL_MS);
}

/** The chaos suites in full size, which takes them minutes instead of seconds. */
const CHAOS = {
  args: ['--selectProjects', 'service', '--testPathPatterns', 'test/chaos'],
  env: { AERIE_CHAOS: 'full' },
};

/** `--chaos`: those alone. `--ci`: everything, and then those. */
function runsOf([first, ...rest]) {
  if (first === '--chaos') return [{ ...CHAOS, args: [...CHAOS.args, ...rest] }];
  if (first === '--ci') return [{ args: rest }, CHAOS];
  return [{ args: first === undefined ? [] : [first, ...rest] }];
}

async function main(root, args) {
  await ensureInstalled(root);
  await ensureBuilt(root);
  const total = { code: 0, passed: 0, failed: 0 };
  for (const run of runsOf(args)) {
    const { code, counts = { passed: 0, failed: 0 } } = await runJest(root, run.args, run.env);
    total.code ||= code;
    total.passed += counts.passed;
    total.failed += code === 0 ? counts.failed : Math.max(counts.failed, 1);
  }
  return total;
}

let result = { code: 1, passed: 0, failed: 1 };
try {
  result = await main(projectRoot, process.argv.slice(2));
} catch (error) {
  console.error(error instanceof SetupError ? error.message : error);
}
process.exitCode = result.code;
console.log(`${result.passed} passed, ${result.failed} failed`);
