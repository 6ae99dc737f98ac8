import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runQuietly } from './child.mjs';
import { withSetupLock } from './lock.mjs';
import { nodeBinary, readIfPresent } from './project.mjs';

const FOLDERS = ['src', 'migrations'];
const FILES = ['tsconfig.json', 'tsconfig.build.json', 'nest-cli.json', 'package-lock.json'];

/** Compiles the sources unless dist was compiled from exactly these. */
export async function ensureBuilt(root) {
  if (isBuilt(root)) return;
  await withSetupLock(root, async () => {
    const stamp = stampOf(root);
    if (readIfPresent(stampPath(root)) === stamp) return;
    // From nothing, so that no output outlives its source.
    rmSync(join(root, 'dist'), { recursive: true, force: true });
    const nest = join(root, 'node_modules', '@nestjs', 'cli', 'bin', 'nest.js');
    await runQuietly('Building', nodeBinary(root), [nest, 'build'], root);
    writeFileSync(stampPath(root), stamp);
  });
}

function stampPath(root) {
  return join(root, 'dist', '.aerie-build');
}

function isBuilt(root) {
  return existsSync(stampPath(root)) && readIfPresent(stampPath(root)) === stampOf(root);
}

function stampOf(root) {
  const hash = createHash('sha256');
  for (const path of [...FILES, ...FOLDERS.flatMap((folder) => sources(root, folder))]) {
    const absolute = join(root, path);
    if (!existsSync(absolute)) continue;
    hash.update(`${path}\0`).update(createHash('sha256').update(readFileSync(absolute)).digest());
  }
  return `${hash.digest('hex')}\n`;
}

function sources(root, folder) {
  if (!existsSync(join(root, folder))) return [];
  return readdirSync(join(root, folder), { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile() && !entry.name.endsWith('.spec.ts'))
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name).slice(root.length + 1))
    .sort();
}
