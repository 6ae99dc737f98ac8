import type { RetryBudget } from '../core/agent/reply-request.js';

/** In answered calls, as everything here. */
const PRICE = 5;
const CAPACITY = 20 * PRICE;
const START = 10 * PRICE;
const FLOOR_PER_SECOND = 1;

/**
 * Bounds the retries of one model with one credential in this process, so that an outage is not met with a multiple of the calls: one for
 * every 5 calls that succeed, and one every 5 s for models that are rarely called. Up to 20 can be saved up; 10 are there from the start.
 */
export class TokenRetryBudget implements RetryBudget {
  private credit = START;
  private at: number;

  /** `now` gives milliseconds on a clock that never goes back. */
  constructor(private readonly now: () => number = () => performance.now()) {
    this.at = now();
  }

  take(): boolean {
    const now = this.now();
    this.add(((now - this.at) / 1000) * FLOOR_PER_SECOND);
    this.at = now;
    if (this.credit < PRICE) return false;
    this.credit -= PRICE;
    return true;
  }

  success(): void {
    this.add(1);
  }

  private add(calls: number): void {
    this.credit = Math.min(CAPACITY, this.credit + calls);
  }
}
