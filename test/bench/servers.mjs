import { join } from 'node:path';
import { pinned, startProgram } from './processes.mjs';

const ROOT = join(import.meta.dirname, '..', '..');
const FLOORS = join(import.meta.dirname, 'floors.mjs');
const SERVER_CORE = 0;
const READY = /API\s+(http:\S+)/;

/** What is measured, ours first. */
export const SERVERS = [
  { name: 'aerie', client: 'aerie', title: 'Aerie (PostgreSQL + Redis)' },
  { name: 'sse', client: 'sse', title: 'floor: Fastify, SSE in the POST' },
  { name: 'pubsub-store', client: 'trigger', title: 'floor: Redis pub/sub per event, 2 INSERTs' },
  { name: 'pubsub-batch', client: 'trigger', title: 'floor: Redis pub/sub per turn' },
  { name: 'pubsub-batch-store', client: 'trigger', title: 'floor: Redis pub/sub per turn, 2 INSERTs' },
];

/** Starts one server as one process, on a core of its own where that can be said. */
export async function startServer(server, { folder, databaseUrl, redisUrl, profile }) {
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    NODE_ENV: 'production',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
  };
  const ours = server.name === 'aerie';
  if (ours) Object.assign(env, { PORT: '0', LOG_LEVEL: 'warn', AERIE_DATA_DIR: folder });
  const profiling = ours && profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [];
  const program = ours ? [join(ROOT, 'dist', 'src', 'main.js')] : [FLOORS, server.name];
  const command = pinned(SERVER_CORE, process.execPath, [...profiling, ...program]);
  // Not the project's folder: a developer's .env must not change what is measured. The channel ends a server whose bench died.
  const stdio = ['ignore', 'pipe', 'pipe', 'ipc'];
  const started = await startProgram(server.name, command, { ready: READY, cwd: folder, env, stdio });
  return { ...server, pid: started.pid, url: started.match[1], output: started.output, stop: started.stop };
}
