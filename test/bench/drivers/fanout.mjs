import { Run, Tally } from '../tally.mjs';
import { ask, follow } from './follow.mjs';

/** One session with as many followers as the cell says; the next run begins when all of them have seen the end of the last one. */
export async function fanout(bench) {
  const { api, cell, client } = bench;
  const session = await client.open(api, await client.prepare(api));
  const tally = new Tally();
  const result = await tally.measure(cell, [tally.insist(() => audience(bench, tally, session))]);
  await client.close(api, session);
  return result;
}

async function audience(bench, tally, session) {
  const { concurrency } = bench.cell;
  let run;
  const following = () => follow(bench, session, (isEnd) => run?.see(isEnd));
  const streams = await Promise.all(Array.from({ length: concurrency }, following));
  const broken = Promise.race(streams.map((stream) => stream.broken));
  broken.catch(() => undefined);
  try {
    while (!tally.stopped) {
      run = new Run(tally, concurrency);
      await ask(bench, session, run, [broken]);
      run.record();
    }
  } finally {
    for (const stream of streams) stream.close();
  }
}
