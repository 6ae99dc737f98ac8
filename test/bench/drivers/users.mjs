import { FrameScanner } from '../frames.mjs';
import { Run, Tally } from '../tally.mjs';
import { ask, follow } from './follow.mjs';

/** As many users as the cell says, each with a session of its own, each asking again when it has its reply. */
export async function users(bench) {
  const { api, cell, client } = bench;
  const context = await client.prepare(api);
  const sessions = await Promise.all(Array.from({ length: cell.concurrency }, () => client.open(api, context)));
  const tally = new Tally();
  const user = client.stream ? followingUser : askingUser;
  const working = sessions.map((session) => tally.insist(() => user(bench, tally, session)));
  const result = await tally.measure(cell, working);
  await Promise.all(sessions.map((session) => client.close(api, session)));
  return result;
}

async function followingUser(bench, tally, session) {
  let run;
  const stream = await follow(bench, session, (isEnd) => run?.see(isEnd));
  while (!tally.stopped) {
    run = new Run(tally);
    await ask(bench, session, run, [stream.broken]);
    run.record();
  }
  stream.close();
}

async function askingUser({ cell, client, exchange }, tally, session) {
  while (!tally.stopped) {
    const run = new Run(tally);
    const scanner = new FrameScanner(client.end);
    const onChunk = (chunk) => scanner.feed(chunk, (isEnd) => run.see(isEnd));
    const answer = await exchange({ method: 'POST', ...client.run(session, cell.text) }, onChunk);
    await answer.ended;
    run.record();
  }
}
