import { setTimeout as delay } from 'node:timers/promises';
import { median, threadMilliseconds } from '../meter.mjs';
import { Run, Tally } from '../tally.mjs';
import { ask, follow } from './follow.mjs';

/** Turns 1–20 of a new session against turns 490–509 of a long one. */
const COMPARED = 20;
const BEFORE = 489;
/** What a server still does after the last event belongs to the turn. */
const PAUSE_MS = 8;
const TURN_MS = 10_000;

/**
 * What a turn costs in a long conversation against a new one. The two alternate: measured at the two ends of one conversation, they
 * would meet different loads of the machine, and the early ones a server that is not warm.
 */
export async function turns(bench) {
  try {
    const context = await bench.client.prepare(bench.api);
    const long = await Conversation.open(bench, context);
    for (let turn = 1; turn <= BEFORE; turn += 1) await long.turn();
    const young = await Conversation.open(bench, context);
    for (let turn = 1; turn <= COMPARED; turn += 1) {
      for (const it of turn % 2 === 0 ? [long, young] : [young, long]) await it.measuredTurn();
    }
    const [early, late] = [young.cost(), long.cost()];
    await Promise.all([long.close(), young.close()]);
    const cpu_ratio = early.cpu_ms === null ? null : late.cpu_ms / early.cpu_ms;
    return { early, late, cpu_ratio, total_ratio: late.total_ms / early.total_ms, errors: 0 };
  } catch (error) {
    const nothing = { cpu_ms: null, total_ms: null };
    return { early: nothing, late: nothing, cpu_ratio: null, total_ratio: null, errors: 1, last_error: error.message };
  }
}

/** A session and the one who follows it. */
class Conversation {
  static async open(bench, context) {
    const it = new Conversation();
    it.bench = bench;
    it.session = await bench.client.open(bench.api, context);
    it.stream = await follow(bench, it.session, (isEnd) => it.run?.see(isEnd));
    return it;
  }

  tally = new Tally();
  cpu = [];
  total = [];

  /** Resolves with how long it took. */
  async turn() {
    const tooLong = new AbortController();
    const failing = delay(TURN_MS, undefined, { signal: tooLong.signal }).then(() => {
      throw new Error('a turn never came to its end');
    });
    this.run = new Run(this.tally);
    try {
      await ask(this.bench, this.session, this.run, [this.stream.broken, failing]);
      return performance.now() - this.run.started;
    } finally {
      tooLong.abort();
    }
  }

  async measuredTurn() {
    const { pid } = this.bench.cell;
    await delay(PAUSE_MS);
    const before = threadMilliseconds(pid);
    this.total.push(await this.turn());
    await delay(PAUSE_MS);
    this.cpu.push(before === undefined ? null : threadMilliseconds(pid) - before);
  }

  cost() {
    return { cpu_ms: median(this.cpu), total_ms: median(this.total) };
  }

  async close() {
    this.stream.close();
    await this.bench.client.close(this.bench.api, this.session);
  }
}
