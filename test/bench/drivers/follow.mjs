import { FrameScanner } from '../frames.mjs';

/** Follows the stream of a session; `broken` rejects when it ends by itself. */
export async function follow({ client, exchange }, session, onFrame) {
  const scanner = new FrameScanner(client.end);
  const request = { method: 'GET', path: client.stream(session), accept: 'text/event-stream' };
  const stream = await exchange(request, (chunk) => scanner.feed(chunk, onFrame));
  const broken = stream.ended.then(() => Promise.reject(new Error('the stream ended')));
  broken.catch(() => undefined);
  return { broken, close: stream.abort };
}

/** Asks for a run and waits until it has been seen to its end. */
export async function ask({ client, exchange, cell }, session, run, broken) {
  await Promise.all([
    exchange({ method: 'POST', ...client.run(session, cell.text) }),
    Promise.race([run.done.promise, ...broken]),
  ]);
}
