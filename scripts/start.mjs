import { join } from 'node:path';
import { ensureBuilt } from './lib/build.mjs';
import { supervise } from './lib/child.mjs';
import { ensureInstalled } from './lib/install.mjs';
import { nodeBinary, projectRoot, SetupError } from './lib/project.mjs';

const PROGRAMS = {
  '--migrate': 'dist/src/migrate.js',
  '--rotate': 'dist/src/rotate.js',
  '--chat': 'dist/src/cli/chat.js',
  '--openapi': 'dist/src/openapi.js',
  '--bench': 'test/bench/run.mjs',
};
const SERVICE = 'dist/src/main.js';

/** Installs and builds what is missing or stale, then runs the service or the program that the first argument names. */
async function main(root, args) {
  await ensureInstalled(root);
  if (args[0] === '--install') return 0;
  await ensureBuilt(root);
  const named = Object.hasOwn(PROGRAMS, args[0] ?? '');
  const program = named ? PROGRAMS[args[0]] : SERVICE;
  const rest = named ? args.slice(1) : args;
  // The service learns by its channel that the launcher died.
  const stdio = ['inherit', 'inherit', 'inherit', ...(named ? [] : ['ipc'])];
  const nodeArgs = ['--enable-source-maps', join(root, program), ...rest];
  return supervise(nodeBinary(root), nodeArgs, { cwd: root, stdio }).ended;
}

try {
  process.exitCode = await main(projectRoot, process.argv.slice(2));
} catch (error) {
  if (!(error instanceof SetupError)) throw error;
  console.error(error.message);
  process.exitCode = error.exitCode;
}
