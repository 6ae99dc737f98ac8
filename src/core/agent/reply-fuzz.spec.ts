import { describe, expect, it, jest } from '@jest/globals';
import { expand } from '../events/expand.js';
import { checkGrammar } from '../events/grammar.js';
import { reduce } from '../events/reducer.js';
import { Chance } from '../testing/chance.js';
import { outline } from '../testing/reply-harness.js';
import { FuzzedReply } from '../testing/fuzzed-reply.js';

const SEED = 20_261_121;
const SCRIPTS = 10_000;
/** Scripts under way at a time: most of their time is waiting. */
const BATCH = 50;

/** What the scripts must have come to, or they test less than they say. */
const REACHED = [
  ...['stop', 'limit', 'handover', 'crash', 'parked', 'message', 'strange answers', 'run', 'run again'],
  ...['success', 'error', 'denied', 'interrupted', 'completed', 'exceed_max_iters'],
  ...['REQUIRE_USER_CONFIRM', 'REQUIRE_EXTERNAL_EXECUTION', 'HINT_BLOCK', 'EXCEED_MAX_ITERS'],
];

/** Runs of random events, then as many as the reply needs when everybody answers and nothing fails. */
async function play(fuzzed: FuzzedReply, chance: Chance): Promise<void> {
  let outcome = await fuzzed.run();
  for (let runs = chance.between(0, 6); runs > 0 && outcome !== 'ended'; runs -= 1) {
    if (outcome === 'parked') fuzzed.meanwhile();
    fuzzed.answer(false);
    outcome = await fuzzed.run();
  }
  fuzzed.calm();
  for (let runs = 0; outcome !== 'ended'; runs += 1) {
    if (runs > 60) throw new Error('it does not come to its end');
    const before = fuzzed.waiting.map((call) => call.id);
    fuzzed.answer(true);
    outcome = await fuzzed.run();
    const still = fuzzed.open.map((call) => call.id);
    const stuck = before.filter((id) => still.includes(id) && fuzzed.waiting.every((call) => call.id !== id));
    if (outcome === 'parked' && stuck.length > 0) throw new Error(`the answer to ${stuck.join()} brought nothing on`);
  }
}

function check(fuzzed: FuzzedReply): void {
  const { events, msg } = fuzzed;
  checkGrammar(events, { complete: true });
  expect(reduce(events).find((message) => message.id === 'r')).toEqual(msg);
  expect(reduce(expand([structuredClone(msg)], { session_id: 's' }))).toEqual([msg]);
  expect(fuzzed.open).toEqual([]);
  expect(fuzzed.isHeard).toBe(true);
  expect(JSON.stringify(events).includes('hush')).toBe(false);
}

describe(`runReply under ${SCRIPTS} random scripts of seed ${SEED}`, () => {
  it('keeps its promises', async () => {
    const unhandled = jest.fn();
    process.on('unhandledRejection', unhandled);
    const seen = new Set<string>();
    const script = async (number: number) => {
      const chance = new Chance(SEED + number);
      const fuzzed = new FuzzedReply(chance);
      try {
        await play(fuzzed, chance);
        check(fuzzed);
      } catch (error) {
        const course = outline(fuzzed.events).join('\n');
        throw new Error(`script ${number} of seed ${SEED} fails:\n${course}`, { cause: error });
      }
      for (const what of fuzzed.seen) seen.add(what);
    };
    for (let first = 0; first < SCRIPTS; first += BATCH) {
      await Promise.all(Array.from({ length: BATCH }, (_, index) => script(first + index)));
    }
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    expect([...seen].sort()).toEqual(expect.arrayContaining(REACHED));
  }, 240_000);
});
