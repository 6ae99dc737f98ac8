import { setTimeout as delay } from 'node:timers/promises';
import { residentKib } from '../meter.mjs';
import { follow } from './follow.mjs';

const AT_ONCE = 25;
/** Opened and closed before: what only the first streams load is not the price of each. */
const WARM_STREAMS = 100;
const SETTLE_MS = 4000;

/** What an open stream without events holds of the server's memory. The server must be fresh: memory it once had it seldom gives back. */
export async function idle(bench) {
  const { api, cell, client } = bench;
  const context = await client.prepare(api);
  const sessions = await inParallel(Array.from({ length: cell.concurrency }), () => client.open(api, context));
  const open = (session) => follow(bench, session, () => undefined);
  for (const stream of await inParallel(sessions.slice(0, WARM_STREAMS), open)) stream.close();
  await delay(SETTLE_MS);
  const before = residentKib(cell.pid);
  const started = performance.now();
  const streams = await inParallel(sessions, open);
  const open_ms = performance.now() - started;
  let errors = 0;
  let last_error;
  for (const { broken } of streams) {
    broken.catch((error) => {
      errors += 1;
      last_error = error.message;
    });
  }
  await delay(SETTLE_MS);
  const after = residentKib(cell.pid);
  const held = after === undefined ? null : after - before;
  return {
    open_ms,
    rss_before_kib: before ?? null,
    rss_after_kib: after ?? null,
    rss_per_stream_kib: held === null ? null : held / streams.length,
    errors,
    last_error,
  };
}

/** In the order of the items, a few at once. */
async function inParallel(items, work) {
  const results = [];
  const left = items.entries();
  const worker = async () => {
    for (const [index, item] of left) results[index] = await work(item);
  };
  await Promise.all(Array.from({ length: AT_ONCE }, worker));
  return results;
}
