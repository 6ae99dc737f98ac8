import { type ChildProcess, spawn } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const repository = dirname(dirname(import.meta.dirname));

/** Compiles by copying, counts its runs, and fails on a source that says so. */
const COMPILER = `
import { appendFileSync, cpSync, readFileSync } from 'node:fs';
appendFileSync('builds.log', 'build\\n');
if (readFileSync('src/main.js', 'utf8').includes('SYNTAX')) { console.error('main.ts(1,1): error TS1005'); process.exit(1); }
cpSync('src', 'dist/src', { recursive: true });
`;

const LOCK = { name: 'fake', version: '1.0.0', lockfileVersion: 3, requires: true, packages: { '': { name: 'fake' } } };

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  output: string;
}

/** A launcher in a project of its own: no dependencies, a compiler of five lines, a service given as text. */
export class FakeProject {
  private constructor(readonly root: string) {}

  static async create(service: string): Promise<FakeProject> {
    const project = new FakeProject(await mkdtemp(join(tmpdir(), 'aerie-launcher-')));
    await cp(join(repository, 'scripts'), join(project.root, 'scripts'), { recursive: true });
    await project.write('package.json', JSON.stringify({ name: 'fake', version: '1.0.0', type: 'module' }));
    await project.write('package-lock.json', JSON.stringify(LOCK));
    await project.write('src/main.js', service);
    await project.install();
    return project;
  }

  /** What `npm ci` would have to leave; the stamp is the launcher's own affair. */
  async install(): Promise<void> {
    await this.write('node_modules/@nestjs/cli/bin/nest.js', COMPILER);
    await this.write('node_modules/@nestjs/cli/package.json', '{"type":"module"}');
  }

  async write(path: string, content: string): Promise<void> {
    await mkdir(dirname(join(this.root, path)), { recursive: true });
    await writeFile(join(this.root, path), content);
  }

  read(path: string): Promise<string> {
    return readFile(join(this.root, path), 'utf8');
  }

  async builds(): Promise<number> {
    return (await this.read('builds.log')).split('\n').length - 1;
  }

  spawn(...args: string[]): ChildProcess {
    const env = { PATH: process.env['PATH'], HOME: this.root, npm_config_cache: join(this.root, '.cache') };
    return spawn(process.execPath, [join(this.root, 'scripts', 'start.mjs'), ...args], { env, detached: true });
  }

  run(...args: string[]): Promise<Ended> {
    return ended(this.spawn(...args));
  }

  async remove(): Promise<void> {
    await rm(this.root, { recursive: true, force: true });
  }
}

export function ended(child: ChildProcess): Promise<Ended> {
  let output = '';
  const take = (chunk: Buffer): void => void (output += chunk.toString());
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  return new Promise((resolve) => child.once('close', (code, signal) => resolve({ code, signal, output })));
}

/** Resolves with what was printed as soon as it holds the text. */
export function printed(child: ChildProcess, text: string): Promise<string> {
  let output = '';
  return new Promise((resolve, reject) => {
    child.stdout?.on('data', (chunk: Buffer) => {
      output += chunk.toString();
      if (output.includes(text)) resolve(output);
    });
    child.once('close', () => reject(new Error(`ended without printing "${text}": ${output}`)));
  });
}
