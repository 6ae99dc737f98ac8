import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { setTimeout as delay } from 'node:timers/promises';
import { promisify } from 'node:util';
import { type RedisProgram, redisProgram } from './redis-program.js';

const run = promisify(execFile);
const IMAGE = 'redis:7-alpine';

export interface RedisServer {
  url: string;
  port: number;
  pid: number;
  stop(): Promise<void>;
  /** Ends it without notice (SIGKILL) and resolves when it has gone. */
  kill(): Promise<void>;
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  server.close();
  await once(server, 'close');
  if (address === null || typeof address === 'string') throw new Error('The system gave no port.');
  return address.port;
}

/** A Redis without persistence on 127.0.0.1; name a port to start again where a killed one was. */
export async function startRedis(options: { port?: number } = {}): Promise<RedisServer> {
  const program = await redisProgram();
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    try {
      return await startOn(program, port);
    } catch (error) {
      // Somebody else may take a free port before Redis does.
      if (options.port !== undefined || attempt === 3) throw error;
    }
  }
}

function startOn(program: RedisProgram, port: number): Promise<RedisServer> {
  return program.kind === 'docker' ? startContainer(program.path, port) : startProcess(program.path, port);
}

async function startProcess(path: string, port: number): Promise<RedisServer> {
  const settings = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', tmpdir()];
  const child = spawn(path, settings, { stdio: ['ignore', 'pipe', 'inherit'] });
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  await ready(child, port);
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    child.kill(signal);
    await gone;
  };
  return {
    url: `redis://127.0.0.1:${port}`,
    port,
    pid: child.pid ?? 0,
    stop: () => end('SIGTERM'),
    kill: () => end('SIGKILL'),
  };
}

function ready(child: ChildProcess, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      output = (output + chunk).slice(-4096);
      if (output.includes('Ready to accept connections')) resolve();
    });
    child.once('error', reject);
    child.once('close', (code) => reject(new Error(`redis-server on port ${port} ended with ${code}:\n${output}`)));
  });
}

async function startContainer(docker: string, port: number): Promise<RedisServer> {
  const name = `aerie-test-${randomBytes(6).toString('hex')}`;
  const server = ['redis-server', '--save', '', '--appendonly', 'no'];
  await run(docker, ['run', '-d', '--rm', '--name', name, '-p', `127.0.0.1:${port}:6379`, IMAGE, ...server]);
  const { stdout } = await run(docker, ['inspect', '--format', '{{.State.Pid}}', name]);
  const end = async (command: string): Promise<void> => {
    const gone = run(docker, ['wait', name]);
    await run(docker, [command, name]);
    await gone;
  };
  const stop = (): Promise<void> => end('stop');
  try {
    await answersPing(port);
  } catch (error) {
    await stop();
    throw error;
  }
  return { url: `redis://127.0.0.1:${port}`, port, pid: Number(stdout.trim()), stop, kill: () => end('kill') };
}

async function answersPing(port: number): Promise<void> {
  for (let attempt = 0; attempt < 300; attempt += 1) {
    if (await ping(port)) return;
    await delay(100);
  }
  throw new Error(`The Redis container on port ${port} does not answer.`);
}

function ping(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => socket.write('PING\r\n'));
    socket.setTimeout(2_000, () => socket.destroy());
    socket.once('data', (data) => {
      resolve(data.toString().startsWith('+PONG'));
      socket.destroy();
    });
    socket.once('error', () => resolve(false));
    socket.once('close', () => resolve(false));
  });
}
