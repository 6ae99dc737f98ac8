// Load generator: one cell in a process of its own. Takes a cell as JSON in its argument, prints its measurements as JSON.
import { readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent } from 'undici';
import { CLIENTS } from './clients.mjs';
import { FrameScanner } from './frames.mjs';

/** How long runs may take to come to their end after the measurement; one that does not is an error of the server. */
const END_MS = 10_000;
const PAUSE_MS = 20;
const TICKS_PER_SECOND = 100;

const cell = JSON.parse(process.argv[2]);
const client = CLIENTS[cell.client];
const dispatcher = new Agent({ connections: null, pipelining: 1, bodyTimeout: 0, headersTimeout: 60_000 });

const seen = { runs: 0, events: 0, errors: 0, lastError: undefined, first: [], total: [] };
let recording = false;
let stopped = false;

/** One exchange; resolves at its end, or with `onChunk` at its head as `{ended, abort}`. */
function exchange({ method, path, body, accept }, onChunk) {
  return new Promise((resolve, reject) => {
    const text = [];
    let status = 0;
    let control;
    const ending = Promise.withResolvers();
    ending.promise.catch(() => undefined);
    const fail = (error) => {
      ending.reject(error);
      reject(error);
    };
    const refuse = () =>
      fail(new Error(`${method} ${path} -> ${status} ${Buffer.concat(text).toString().slice(0, 300)}`));
    const headers = { ...client.headers };
    if (accept) headers.accept = accept;
    if (body !== undefined) headers['content-type'] = 'application/json';
    dispatcher.dispatch(
      { origin: cell.url, method, path, headers, body: body === undefined ? undefined : JSON.stringify(body) },
      {
        onRequestStart: (controller) => (control = controller),
        onResponseStart: (_controller, code) => {
          status = code;
          if (onChunk && code < 400) resolve({ ended: ending.promise, abort: () => control.abort(new Error('done')) });
        },
        onResponseData: (_controller, chunk) => {
          if (onChunk && status < 400) onChunk(chunk);
          else text.push(chunk);
        },
        onResponseEnd: () => {
          if (status >= 400) return refuse();
          ending.resolve();
          resolve(Buffer.concat(text).toString());
        },
        onResponseError: (_controller, error) => fail(error),
      },
    );
  });
}

async function api(method, path, body) {
  const text = await exchange({ method, path, body });
  return text ? JSON.parse(text) : undefined;
}

/** The run a user waits for. */
class Run {
  started = performance.now();
  first;
  done = Promise.withResolvers();

  see(isEnd) {
    this.first ??= performance.now();
    if (recording) seen.events += 1;
    if (isEnd) this.done.resolve();
  }

  record() {
    if (!recording) return;
    seen.runs += 1;
    seen.first.push(this.first - this.started);
    seen.total.push(performance.now() - this.started);
  }
}

async function followingUser(session) {
  const scanner = new FrameScanner(client.end);
  let run;
  const onChunk = (chunk) => scanner.feed(chunk, (isEnd) => run?.see(isEnd));
  const path = client.stream(session);
  const stream = await exchange({ method: 'GET', path, accept: 'text/event-stream' }, onChunk);
  const broken = stream.ended.then(() => Promise.reject(new Error('the stream ended')));
  broken.catch(() => undefined);
  while (!stopped) {
    run = new Run();
    await Promise.all([
      exchange({ method: 'POST', ...client.run(session, cell.text) }),
      Promise.race([run.done.promise, broken]),
    ]);
    run.record();
  }
  stream.abort();
}

async function askingUser(session) {
  while (!stopped) {
    const run = new Run();
    const scanner = new FrameScanner(client.end);
    const onChunk = (chunk) => scanner.feed(chunk, (isEnd) => run.see(isEnd));
    const request = { method: 'POST', ...client.run(session, cell.text) };
    const answer = await exchange(request, onChunk);
    await answer.ended;
    run.record();
  }
}

function fail(message) {
  seen.errors += 1;
  seen.lastError = message;
}

async function user(session) {
  while (!stopped) {
    try {
      await (client.stream ? followingUser(session) : askingUser(session));
    } catch (error) {
      if (stopped) return;
      fail(error.message);
      await delay(PAUSE_MS);
    }
  }
}

/** Processor seconds a process has used, where /proc tells. */
function processorSeconds(pid) {
  if (process.platform !== 'linux') return undefined;
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

function snapshot() {
  const { user, system } = process.cpuUsage();
  return { at: performance.now(), server: processorSeconds(cell.pid), own: (user + system) / 1e6 };
}

const percentile = (sorted, share) => sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))] ?? null;

function spread(values) {
  const sorted = values.sort((a, b) => a - b);
  return { p50: percentile(sorted, 0.5), p99: percentile(sorted, 0.99) };
}

const context = await client.prepare(api);
const sessions = await Promise.all(Array.from({ length: cell.concurrency }, () => client.open(api, context)));
const users = sessions.map(user);
await delay(cell.warm * 1000);
const before = snapshot();
recording = true;
await delay(cell.secs * 1000);
recording = false;
const after = snapshot();
stopped = true;
let unfinished = users.length;
const leaving = users.map((it) => it.then(() => (unfinished -= 1)));
await Promise.race([Promise.all(leaving), delay(END_MS)]);
if (unfinished > 0) fail(`the reply of ${unfinished} users never came to its end`);
await Promise.all(sessions.map((session) => client.close(api, session)));

const seconds = (after.at - before.at) / 1000;
const used = after.server === undefined ? undefined : after.server - before.server;
const result = {
  runs_per_second: seen.runs / seconds,
  events_per_second: seen.events / seconds,
  first_ms: spread(seen.first),
  total_ms: spread(seen.total),
  server_cpu_ms_per_run: used === undefined || seen.runs === 0 ? null : (used * 1000) / seen.runs,
  server_cpu_share: used === undefined ? null : used / seconds,
  generator_cpu_share: (after.own - before.own) / seconds,
  errors: seen.errors,
  last_error: seen.lastError,
};
process.stdout.write(JSON.stringify(result), () => process.exit(0));
