// npm run bench: our service next to the floors, on a PostgreSQL and a Redis of its own, in interleaved rounds.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { CASES } from './clients.mjs';
import { takeLock } from './lock.mjs';
import { BenchError, isPinned, makeFolder, pinned, startRedis } from './processes.mjs';
import { markdown, summarize } from './report.mjs';
import { SERVERS, startServer } from './servers.mjs';

const execute = promisify(execFile);
// Built by the launcher before this runs; not there when the sources are checked.
const EMBEDDED = join(import.meta.dirname, '../../dist/src/platform/embedded/embedded-postgres.js');
const LOAD = join(import.meta.dirname, 'load.mjs');
const GENERATOR_CORE = 1;
const CELL_MS = 120_000;
const WARM_UP = { concurrency: 16, warm: 0, secs: 2 };
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };
const USAGE = `npm run bench -- [options]
  --rounds N      rounds over all cells (3)
  --secs S        measured seconds per cell (3)
  --warm S        seconds before that are not recorded (1)
  --only A,B      servers (${SERVERS.map((server) => server.name).join(', ')}), cases (${Object.keys(CASES).join(', ')}) or cells (echo-64)
  --out FILE      all measurements as JSON
  --profile DIR   a CPU profile of our service, written there at its end`;

function options() {
  const text = { type: 'string' };
  const { values } = parseArgs({
    options: { rounds: text, secs: text, warm: text, only: text, out: text, profile: text, help: { type: 'boolean' } },
  });
  const number = (name, fallback, least) => {
    const value = Number(values[name] ?? fallback);
    if (Number.isFinite(value) && value >= least) return value;
    throw new BenchError(`--${name}: must be a number of at least ${least}\n${USAGE}`);
  };
  return {
    help: values.help,
    rounds: number('rounds', 3, 1),
    secs: number('secs', 3, 0.1),
    warm: number('warm', 1, 0),
    ...selection(values.only?.split(',') ?? []),
    out: values.out && resolve(values.out),
    profile: values.profile && resolve(values.profile),
  };
}

/** Names of servers narrow the servers, names of cases and cells the cells. */
function selection(names) {
  const all = Object.entries(CASES).flatMap(([name, { text, concurrency }]) =>
    concurrency.map((c) => ({ case: name, text, concurrency: c, names: [name, `${name}-${c}`] })),
  );
  const unknown = names.find(
    (name) => !SERVERS.some((server) => server.name === name) && !all.some((cell) => cell.names.includes(name)),
  );
  if (unknown !== undefined) throw new BenchError(`--only: there is no "${unknown}"\n${USAGE}`);
  const servers = SERVERS.filter((server) => names.includes(server.name));
  const cells = all.filter((cell) => cell.names.some((name) => names.includes(name)));
  return { servers: servers.length > 0 ? servers : SERVERS, cells: cells.length > 0 ? cells : all };
}

async function load(server, cell, signal) {
  const spec = JSON.stringify({ url: server.url, pid: server.pid, client: server.client, ...cell });
  const [command, args] = pinned(GENERATOR_CORE, process.execPath, [LOAD, spec]);
  const { stdout } = await execute(command, args, { signal, timeout: CELL_MS, killSignal: 'SIGKILL' });
  return JSON.parse(stdout);
}

async function measure(servers, { cells, rounds, secs, warm }, signal) {
  for (const server of servers) {
    for (const { text } of Object.values(CASES)) await load(server, { text, ...WARM_UP }, signal);
  }
  const measured = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const { case: name, text, concurrency } of cells) {
      for (const server of servers) {
        const result = await load(server, { text, concurrency, secs, warm }, signal);
        const line = `${Math.round(result.runs_per_second)} runs/s, ${Math.round(result.events_per_second)} events/s`;
        const faults = result.errors > 0 ? `, ${result.errors} errors (${result.last_error})` : '';
        console.error(`${round}/${rounds} ${name} c=${concurrency} ${server.name}: ${line}${faults}`);
        if (result.errors > 0) console.error(server.output());
        const { title } = server;
        measured.push({ round, case: name, concurrency, server: server.name, title, load1: loadavg()[0], ...result });
      }
    }
  }
  return measured;
}

/** Starts everything, measures, and stops everything in reverse, whatever happened. */
async function bench(chosen, signal) {
  const undo = [];
  const started = async (starting, stop) => {
    const it = await starting;
    undo.push(() => stop(it));
    signal.throwIfAborted();
    return it;
  };
  try {
    undo.push(takeLock());
    const folder = await started(makeFolder(), (it) => it.remove());
    const { startEmbeddedPostgres } = await import(EMBEDDED);
    const postgres = await started(startEmbeddedPostgres({ dataDir: folder.path }), (it) => it.stop());
    const redis = await started(startRedis(folder.path), (it) => it.stop());
    // A URL with credentials must have a host; the one in the query, the socket, is what counts.
    const databaseUrl = postgres.connectionString.replace('@/', '@localhost/');
    const where = { folder: folder.path, databaseUrl, redisUrl: redis.url, profile: chosen.profile };
    const servers = [];
    for (const server of chosen.servers) servers.push(await started(startServer(server, where), (it) => it.stop()));
    return await measure(servers, chosen, signal);
  } finally {
    for (const stop of undo.reverse()) await stop();
  }
}

async function main() {
  const chosen = options();
  if (chosen.help) return void console.log(USAGE);
  if (chosen.profile) mkdirSync(chosen.profile, { recursive: true });
  const interrupted = new AbortController();
  for (const [signal, code] of Object.entries(SIGNALS)) {
    process.on(signal, () => {
      process.exitCode = code;
      interrupted.abort();
    });
  }
  const measured = await bench(chosen, interrupted.signal);
  const machine = { cpu: cpus()[0]?.model, cores: cpus().length, node: process.version, pinned: isPinned };
  const summary = summarize(measured);
  if (chosen.out) writeFileSync(chosen.out, JSON.stringify({ machine, summary, cells: measured }, null, 2));
  console.log(markdown(summary));
  const loads = measured.map((cell) => cell.load1);
  console.log(
    `\n${chosen.rounds} rounds of ${chosen.secs} s, medians; ${machine.cores} cores (${machine.cpu}), Node ${machine.node}, ` +
      `server and generator ${isPinned ? 'each on a core of its own' : 'not pinned'}, load ${Math.min(...loads)}–${Math.max(...loads)}`,
  );
}

try {
  await main();
} catch (error) {
  if (error.name !== 'AbortError') {
    console.error(error instanceof BenchError ? error.message : error);
    process.exitCode = 1;
  }
}
