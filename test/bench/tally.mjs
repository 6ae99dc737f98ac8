import { setTimeout as delay } from 'node:timers/promises';
import { processorSeconds, spread } from './meter.mjs';

/** How long runs may take to come to their end after the measurement; one that does not is an error of the server. */
const END_MS = 10_000;
const PAUSE_MS = 20;

/** What the users of a cell see while it is recorded. */
export class Tally {
  runs = 0;
  events = 0;
  errors = 0;
  lastError;
  first = [];
  total = [];
  recording = false;
  stopped = false;

  fail(message) {
    this.errors += 1;
    this.lastError = message;
  }

  /** A user: does what it does again and again, and starts anew after a failure, until the cell stops. */
  async insist(work) {
    while (!this.stopped) {
      try {
        await work();
      } catch (error) {
        if (this.stopped) return;
        this.fail(error.message);
        await delay(PAUSE_MS);
      }
    }
  }

  /** Lets the users work, records the time after the warm-up, and waits for what they began. */
  async measure({ pid, warm, secs }, users) {
    await delay(warm * 1000);
    const before = snapshot(pid);
    this.recording = true;
    await delay(secs * 1000);
    this.recording = false;
    const after = snapshot(pid);
    this.stopped = true;
    let unfinished = users.length;
    const leaving = users.map((it) => it.then(() => (unfinished -= 1)));
    await Promise.race([Promise.all(leaving), delay(END_MS)]);
    if (unfinished > 0) this.fail(`the reply of ${unfinished} users never came to its end`);
    return this.#result(before, after);
  }

  #result(before, after) {
    const seconds = (after.at - before.at) / 1000;
    const used = after.server === undefined ? undefined : after.server - before.server;
    return {
      runs_per_second: this.runs / seconds,
      events_per_second: this.events / seconds,
      first_ms: spread(this.first),
      total_ms: spread(this.total),
      server_cpu_ms_per_run: used === undefined || this.runs === 0 ? null : (used * 1000) / this.runs,
      server_cpu_share: used === undefined ? null : used / seconds,
      generator_cpu_share: (after.own - before.own) / seconds,
      errors: this.errors,
      last_error: this.lastError,
    };
  }
}

/** The run a user waits for; `ends`: how many streams have to show its end. */
export class Run {
  started = performance.now();
  first;
  done = Promise.withResolvers();
  #tally;
  #ends;

  constructor(tally, ends = 1) {
    this.#tally = tally;
    this.#ends = ends;
  }

  see(isEnd) {
    this.first ??= performance.now();
    if (this.#tally.recording) this.#tally.events += 1;
    if (!isEnd) return;
    this.#ends -= 1;
    if (this.#ends === 0) this.done.resolve();
  }

  record() {
    if (!this.#tally.recording) return;
    this.#tally.runs += 1;
    this.#tally.first.push(this.first - this.started);
    this.#tally.total.push(performance.now() - this.started);
  }
}

function snapshot(pid) {
  const { user, system } = process.cpuUsage();
  return { at: performance.now(), server: processorSeconds(pid), own: (user + system) / 1e6 };
}
