import { expect, it } from '@jest/globals';
import { TokenRetryBudget } from './retry-budget.js';

let time = 0;
const retries = (budget: TokenRetryBudget): number => {
  let taken = 0;
  while (budget.take()) taken += 1;
  return taken;
};

it('begins with ten retries, then gives one for five answered calls', () => {
  const budget = new TokenRetryBudget(() => time);
  expect(retries(budget)).toBe(10);
  for (let n = 0; n < 4; n += 1) budget.success();
  expect(retries(budget)).toBe(0);
  for (let n = 0; n < 11; n += 1) budget.success();
  expect(retries(budget)).toBe(3);
});

it('gives one every five seconds to a model that is rarely called', () => {
  const budget = new TokenRetryBudget(() => time);
  retries(budget);
  time += 4999;
  expect(retries(budget)).toBe(0);
  time += 10_001;
  expect(retries(budget)).toBe(3);
});

it('saves up no more than twenty', () => {
  const budget = new TokenRetryBudget(() => time);
  for (let n = 0; n < 1000; n += 1) budget.success();
  time += 86_400_000;
  expect(retries(budget)).toBe(20);
});

it('holds an outage to a fifth of the calls', () => {
  const budget = new TokenRetryBudget(() => time);
  let retried = 0;
  for (let n = 0; n < 1000; n += 1) {
    // Half of the calls fail, and every failed one would be tried again.
    if (n % 2 === 0) budget.success();
    else if (budget.take()) retried += 1;
  }
  expect(retried).toBe(10 + 100);
});
