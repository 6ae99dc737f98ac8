import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** A fault that its message explains in full: printed as one line, without a stack. */
export class SetupError extends Error {
  constructor(message, exitCode = 1) {
    super(message);
    this.exitCode = exitCode;
  }
}

export const projectRoot = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export function readIfPresent(path) {
  return existsSync(path) ? readFileSync(path, 'utf8') : undefined;
}

/** Node 24 from the dependencies; else this one, where it is new enough. */
export function nodeBinary(root) {
  const packaged = join(root, 'node_modules', '.bin', 'node');
  if (existsSync(packaged)) return packaged;
  const [major, minor] = process.versions.node.split('.').map(Number);
  if (major > 22 || (major === 22 && minor >= 12)) return process.execPath;
  throw new SetupError(`Node ${process.versions.node} is too old (22.12 or newer) and the package "node" is missing.`);
}
