import { randomInt } from 'node:crypto';

export const FULL = process.env['AERIE_CHAOS'] === 'full';

/** AERIE_CHAOS_SEED repeats a run as far as chance goes; the timing of processes is not ours to repeat. */
export const SEED = Number(process.env['AERIE_CHAOS_SEED'] || randomInt(1, 2 ** 31));

/** One line that a reader of a log finds: what a scenario did, and under which seed. */
export function report(scenario: string, counts: Readonly<Record<string, number | string>>): void {
  const listed = Object.entries(counts).map(([name, count]) => `${name} ${count}`);
  process.stderr.write(`chaos ${scenario}: ${listed.join(', ')} (AERIE_CHAOS_SEED=${SEED}${FULL ? ', full' : ''})\n`);
}
