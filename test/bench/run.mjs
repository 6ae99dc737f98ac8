// npm run bench: our service next to the floors, on a PostgreSQL and Redises of its own, in interleaved rounds.
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus, loadavg } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { CASES } from './clients.mjs';
import { takeLock } from './lock.mjs';
import { loop } from './loop.mjs';
import { modelPath } from './model-path.mjs';
import { options, USAGE } from './options.mjs';
import { BenchError, isPinned, makeFolder, pinned } from './processes.mjs';
import { inShort, markdown, summarize } from './report.mjs';
import { OURS, startServer } from './servers.mjs';
import { Scope, startStores } from './stores.mjs';

const execute = promisify(execFile);
// Built by the launcher before this runs; not there when the sources are checked.
const EMBEDDED = join(import.meta.dirname, '../../dist/src/platform/embedded/embedded-postgres.js');
const LOAD = join(import.meta.dirname, 'load.mjs');
const GENERATOR_CORE = 1;
const CELL_MS = 120_000;
const WARM_UP = { driver: 'users', concurrency: 16, warm: 0, secs: 2 };
const SIGNALS = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 };

async function load({ url, pid, client }, cell, signal) {
  const spec = JSON.stringify({ url, pid, client, ...cell });
  const [command, args] = pinned(GENERATOR_CORE, process.execPath, [LOAD, spec]);
  const { stdout } = await execute(command, args, { signal, timeout: CELL_MS, killSignal: 'SIGKILL' });
  return JSON.parse(stdout);
}

/** Measures one cell on a server that runs, or on one started for it where the cell wants that. */
async function measureOne(server, { driver, text, concurrency, fresh }, { secs, warm, signal, running, start }) {
  const scope = new Scope(signal);
  try {
    const started = fresh ? await start(scope, server) : running.get(server.name);
    const result = await load(started, { driver, text, concurrency, secs, warm }, signal);
    if (result.errors > 0) console.error(started.output());
    return result;
  } finally {
    await scope.stop();
  }
}

async function measure({ cells, rounds }, bench) {
  const texts = new Set(Object.values(CASES).flatMap(({ text }) => text ?? []));
  for (const server of bench.running.values()) {
    for (const text of texts) await load(server, { text, ...WARM_UP }, bench.signal);
  }
  const measured = [];
  for (let round = 1; round <= rounds; round += 1) {
    for (const cell of cells) {
      // The one measured first is not always the same.
      for (const server of round % 2 === 1 ? cell.servers : cell.servers.toReversed()) {
        const result = await measureOne(server, cell, bench);
        const { case: name, concurrency } = cell;
        const faults = result.errors > 0 ? `, ${result.errors} errors (${result.last_error})` : '';
        console.error(`${round}/${rounds} ${name} c=${concurrency} ${server.name}: ${inShort(name, result)}${faults}`);
        const { title } = server;
        measured.push({ round, case: name, concurrency, server: server.name, title, load1: loadavg()[0], ...result });
      }
    }
  }
  return measured;
}

/** Starts everything, measures, and stops everything in reverse, whatever happened. */
async function bench(chosen, signal) {
  const scope = new Scope(signal);
  try {
    await scope.add(takeLock(), (release) => release());
    const folder = await scope.add(makeFolder(), (it) => it.remove());
    const { startEmbeddedPostgres } = await import(EMBEDDED);
    const postgres = await scope.add(startEmbeddedPostgres({ dataDir: folder.path }), (it) => it.stop());
    const start = async (its, server, profile) => {
      const stores = await startStores(its, { folder: folder.path, postgresUrl: postgres.connectionString });
      return its.add(startServer(server, { ...stores, folder: folder.path, profile }), (it) => it.stop());
    };
    const lasting = chosen.servers.filter((server) =>
      chosen.cells.some((cell) => !cell.fresh && cell.servers.includes(server)),
    );
    const running = new Map();
    for (const server of lasting) {
      const profile = server.name === OURS ? chosen.profile : undefined;
      running.set(server.name, await start(scope, server, profile));
    }
    return await measure(chosen, { ...chosen, signal, running, start });
  } finally {
    await scope.stop();
  }
}

async function main() {
  // These need no servers and no stores.
  if (process.argv[2] === 'model-path') return modelPath();
  if (process.argv[2] === 'loop') return loop();
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
  const { against } = chosen;
  if (chosen.out) writeFileSync(chosen.out, JSON.stringify({ machine, against, summary, cells: measured }, null, 2));
  console.log(markdown(summary));
  const loads = measured.map((cell) => cell.load1);
  console.log(
    `\n${chosen.rounds} rounds of ${chosen.secs} s, medians; ${machine.cores} cores (${machine.cpu}), Node ${machine.node}, ` +
      `server and generator ${isPinned ? 'each on a core of its own' : 'not pinned'}, load ${Math.min(...loads)}–${Math.max(...loads)}` +
      (against ? `; Aerie before: ${against}` : ''),
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
