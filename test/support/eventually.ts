import { setTimeout as delay } from 'node:timers/promises';

const WITHIN_MS = 10_000;
const PAUSE_MS = 25;

/** Asks again until there is an answer; for what tells nobody when it happens. Fails after a deadline. */
export async function eventually<T>(
  ask: () => T | undefined | Promise<T | undefined>,
  within_ms = WITHIN_MS,
): Promise<T> {
  const deadline = performance.now() + within_ms;
  for (;;) {
    const answer = await ask();
    if (answer !== undefined) return answer;
    if (performance.now() > deadline) throw new Error(`not within ${within_ms} ms: ${ask.toString()}`);
    await delay(PAUSE_MS);
  }
}
