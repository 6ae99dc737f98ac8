import { describe, expect, it } from '@jest/globals';
import { checkGrammar } from '../core/events/grammar.js';
import { reduce } from '../core/events/reducer.js';
import { Chance } from '../core/testing/chance.js';
import { outline } from '../core/testing/reply-harness.js';
import { RecordedRun } from './testing/recorded-run.js';

const SEED = 20_261_121;
const SCRIPTS = 1000;
const BATCH = 50;

/** What the scripts must have come to, or they test less than they say. */
const REACHED = [
  ...['killed', 'left', 'stopped', 'parked', 'handed over', 'answered at work', 'run again', 'ending repaired'],
  ...['completed', 'interrupted', 'failed'],
];

async function play(run: RecordedRun, chance: Chance): Promise<void> {
  if (chance.hits(0.3)) run.tell();
  for (let attempts = chance.between(1, 8); attempts > 0 && run.status !== 'ended'; attempts -= 1) {
    await run.attempt();
    if (run.status === 'waiting' && !run.answer(0.6)) run.answer();
  }
  run.calm();
  for (let attempts = 0; run.status !== 'ended'; attempts += 1) {
    if (attempts > 40) throw new Error('it does not come to its end');
    if (run.status === 'waiting') run.answer();
    await run.attempt();
  }
}

describe(`a run under ${SCRIPTS} random courses of seed ${SEED}`, () => {
  it('loses nothing and does nothing twice, whenever its holders go', async () => {
    const seen = new Set<string>();
    const script = async (number: number) => {
      const chance = new Chance(SEED + number);
      const run = new RecordedRun(chance);
      try {
        await play(run, chance);
        checkGrammar(run.events, { complete: true });
        expect(run.transcript).toEqual(reduce(run.events));
        expect(run.pending).toEqual([]);
      } catch (error) {
        const course = outline(run.events).join('\n');
        throw new Error(`script ${number} of seed ${SEED} fails:\n${course}`, { cause: error });
      }
      for (const what of run.seen) seen.add(what);
    };
    for (let first = 0; first < SCRIPTS; first += BATCH) {
      await Promise.all(Array.from({ length: BATCH }, (_, index) => script(first + index)));
    }
    expect([...seen]).toEqual(expect.arrayContaining(REACHED));
  }, 240_000);
});
