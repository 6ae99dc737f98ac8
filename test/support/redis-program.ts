import { execFile } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { promisify } from 'node:util';
import { errorMessage } from '../../src/platform/embedded/errno.js';

const run = promisify(execFile);

/** What starts a Redis on this machine. */
export interface RedisProgram {
  kind: 'redis-server' | 'docker';
  path: string;
}

const HELP =
  'The tests need Redis and found none. Do one of these: install it (Debian: apt-get install -y redis-server, ' +
  'macOS: brew install redis), start Docker, or set TEST_REDIS_URL to the URL of a Redis that may be emptied.';

let found: Promise<RedisProgram> | undefined;

/** redis-server on the PATH, else Debian's package where it may be installed, else Docker's image. */
export function redisProgram(): Promise<RedisProgram> {
  return (found ??= find());
}

async function find(): Promise<RedisProgram> {
  const installed = await onPath('redis-server');
  if (installed) return { kind: 'redis-server', path: installed };
  const faults: string[] = [];
  const packaged = await install(faults);
  if (packaged) return { kind: 'redis-server', path: packaged };
  const docker = await onPath('docker');
  if (docker) {
    const fault = await failure(docker, ['info', '--format', '{{.ServerVersion}}']);
    if (fault === undefined) return { kind: 'docker', path: docker };
    faults.push(`docker: ${fault}`);
  }
  throw new Error([HELP, ...faults].join('\n'));
}

async function install(faults: string[]): Promise<string | undefined> {
  const aptGet = await onPath('apt-get');
  if (!aptGet || process.getuid?.() !== 0) return undefined;
  console.error('Installing Debian\'s package "redis-server" for the tests');
  const packages = ['install', '-y', '--no-install-recommends', 'redis-server'];
  let fault = await failure(aptGet, packages);
  if (fault !== undefined) {
    // A fresh machine has no package lists.
    fault = (await failure(aptGet, ['update'])) ?? (await failure(aptGet, packages));
  }
  if (fault === undefined) return onPath('redis-server');
  faults.push(`apt-get: ${fault}`);
  return undefined;
}

async function onPath(name: string): Promise<string | undefined> {
  for (const folder of (process.env['PATH'] ?? '').split(delimiter)) {
    const path = join(folder, name);
    const executable = await access(path, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (folder && executable) return path;
  }
  return undefined;
}

/** What the command complained of; undefined when it went well. */
async function failure(command: string, args: string[]): Promise<string | undefined> {
  try {
    await run(command, args, {
      env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
      maxBuffer: 16 * 1024 * 1024,
    });
    return undefined;
  } catch (error) {
    return errorMessage(error).trim().split('\n').slice(-3).join(' ');
  }
}
