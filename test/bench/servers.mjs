import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { BenchError, pinned, startProgram } from './processes.mjs';

const ROOT = join(import.meta.dirname, '..', '..');
const FLOORS = join(import.meta.dirname, 'floors.mjs');
const SERVER_CORE = 0;
const READY = /API\s+(http:\S+)/;
export const OURS = 'aerie';

const programOf = (checkout) => join(checkout, 'dist', 'src', 'main.js');
const floor = (name, client, title) => ({
  name,
  client,
  title: `floor: ${title}`,
  floor: true,
  program: [FLOORS, name],
});
const FLOOR_SERVERS = [
  floor('sse', 'sse', 'Fastify, SSE in the POST'),
  floor('pubsub-store', 'trigger', 'Redis pub/sub per event, 2 INSERTs'),
  floor('pubsub-batch', 'trigger', 'Redis pub/sub per turn'),
  floor('pubsub-batch-store', 'trigger', 'Redis pub/sub per turn, 2 INSERTs'),
];

/** What is measured, ours first; with the folder of another built checkout also that one's Aerie. */
export function serversWith(against) {
  const ours = { name: OURS, client: 'aerie', title: 'Aerie (PostgreSQL + Redis)', program: [programOf(ROOT)] };
  if (against === undefined) return [ours, ...FLOOR_SERVERS];
  const program = programOf(against);
  if (!existsSync(program)) throw new BenchError(`--against: ${against} is no built checkout, it has no ${program}`);
  const before = { name: 'aerie-before', client: 'aerie', title: 'Aerie before', program: [program] };
  return [ours, before, ...FLOOR_SERVERS];
}

/** Starts one server as one process, on a core of its own where that can be said. */
export async function startServer(server, { folder, databaseUrl, redisUrl, profile }) {
  const env = {
    PATH: process.env.PATH,
    HOME: process.env.HOME,
    NODE_ENV: 'production',
    DATABASE_URL: databaseUrl,
    REDIS_URL: redisUrl,
  };
  if (!server.floor) Object.assign(env, { PORT: '0', LOG_LEVEL: 'warn', AERIE_DATA_DIR: join(folder, server.name) });
  const profiling = profile ? ['--cpu-prof', `--cpu-prof-dir=${profile}`] : [];
  const command = pinned(SERVER_CORE, process.execPath, [...profiling, ...server.program]);
  // Not the project's folder: a developer's .env must not change what is measured. The channel ends a server whose bench died.
  const stdio = ['ignore', 'pipe', 'pipe', 'ipc'];
  const started = await startProgram(server.name, command, { ready: READY, cwd: folder, env, stdio });
  return { ...server, pid: started.pid, url: started.match[1], output: started.output, stop: started.stop };
}
