import { afterEach, expect, jest, test } from '@jest/globals';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { ended, FakeProject, printed } from './fake-project.js';

jest.setTimeout(60_000);

const SERVICE = `
const log = (line) => process.stdout.write(line + '\\n');
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
  process.on(signal, () => { log('got ' + signal); process.exit(signal === 'SIGHUP' ? 7 : 0); });
}
process.on('disconnect', () => { log('got disconnect'); process.exit(0); });
log('up ' + process.pid + ' ' + process.argv.slice(2).join(','));
setInterval(() => {}, 1000);
`;

let project: FakeProject;

async function make(service: string): Promise<FakeProject> {
  project = await FakeProject.create(service);
  return project;
}

afterEach(() => project.remove());

test('the first start installs and builds, the second does neither', async () => {
  await make('console.log("ran")');
  const first = await project.run();
  expect(first.output).toContain('Installing dependencies');
  // npm ci emptied node_modules, and with it the stand-in compiler.
  expect(first.code).not.toBe(0);
  await project.install();
  const second = await project.run();
  expect(second).toMatchObject({ code: 0, output: 'Building …\nran\n' });
  const third = await project.run();
  expect(third).toMatchObject({ code: 0, output: 'ran\n' });
  expect(await project.builds()).toBe(1);
});

test('a changed source is built again, and outputs of deleted sources go', async () => {
  await make('console.log("one")');
  await project.run('--install');
  await project.install();
  await project.write('src/old.js', '');
  await project.run();
  expect(existsSync(join(project.root, 'dist/src/old.js'))).toBe(true);
  await project.write(
    'src/main.js',
    'import { existsSync } from "node:fs"; console.log(existsSync("dist/src/old.js"))',
  );
  await rm(join(project.root, 'src/old.js'));
  expect((await project.run()).output).toContain('false\n');
  await project.write('src/main.spec.ts', 'a spec is no input of the build');
  await project.run();
  expect(await project.builds()).toBe(2);
});

test('a failed build shows the errors, ends the start and is tried again', async () => {
  await make('SYNTAX');
  await project.run('--install');
  await project.install();
  const failed = await project.run();
  expect(failed.code).toBe(1);
  expect(failed.output).toContain('error TS1005');
  expect(failed.output).toContain('Building failed');
  expect(existsSync(join(project.root, 'dist/.aerie-build'))).toBe(false);
  await project.write('src/main.js', 'console.log("mended")');
  expect((await project.run()).output).toContain('mended');
});

test('a changed lock file is installed again', async () => {
  await make('console.log("ran")');
  await project.run('--install');
  expect((await project.run('--install')).output).toBe('');
  const lock = await project.read('package-lock.json');
  await project.write('package-lock.json', lock.replace('"requires":true', '"requires": true'));
  expect((await project.run('--install')).code).toBe(0);
  expect(await project.read('node_modules/.aerie-install')).not.toBe('');
});

test.each([
  ['SIGTERM', 0],
  ['SIGHUP', 7],
] as const)('%s is passed on and the exit code is that of the service', async (signal, code) => {
  await started();
  const launcher = project.spawn('one', 'two');
  const end = ended(launcher);
  expect(await printed(launcher, 'up')).toContain('one,two');
  launcher.kill(signal);
  expect(await end).toMatchObject({ code });
  expect((await end).output).toContain(`got ${signal}`);
});

test('Ctrl-C reaches the service once, and the launcher waits for it', async () => {
  await started();
  const launcher = project.spawn();
  const end = ended(launcher);
  await printed(launcher, 'up');
  // Detached: the launcher leads a process group as under a terminal.
  process.kill(-(launcher.pid ?? 0), 'SIGINT');
  expect(await end).toMatchObject({ code: 0 });
  expect((await end).output).toMatch(/got (SIGINT|disconnect)/);
});

test('SIGINT for the launcher alone stops the service', async () => {
  await started();
  const launcher = project.spawn();
  const end = ended(launcher);
  await printed(launcher, 'up');
  launcher.kill('SIGINT');
  expect(await end).toMatchObject({ code: 0 });
  expect((await end).output).toContain('got disconnect');
});

test('a service that a signal ended gives 128 and its number', async () => {
  await started();
  const launcher = project.spawn();
  const end = ended(launcher);
  const pid = Number(/up (\d+)/.exec(await printed(launcher, 'up'))?.[1]);
  process.kill(pid, 'SIGKILL');
  expect(await end).toMatchObject({ code: 137 });
});

test('a service whose launcher was killed learns it by its channel', async () => {
  await started();
  const launcher = project.spawn();
  const end = ended(launcher);
  await printed(launcher, 'up');
  launcher.kill('SIGKILL');
  expect((await end).output).toContain('got disconnect');
});

async function started(): Promise<void> {
  await make(SERVICE);
  await project.run('--install');
  await project.install();
}
