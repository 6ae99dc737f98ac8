import { beforeEach, describe, expect, it } from '@jest/globals';
import { ModelError } from '../core/models/chat-model.js';
import { CircuitBreaker, type Permit } from './circuit-breaker.js';

let time: number;
let breaker: CircuitBreaker;

beforeEach(() => {
  time = 1_000_000;
  // The highest chance there is: the full time.
  breaker = new CircuitBreaker({ now: () => time, random: () => 1 });
});

const failure = (type: ModelError['type'] = 'upstream', options: ModelError['options'] = {}) =>
  new ModelError(type, 'x', options);
const fail = (times: number, error = failure()): void => {
  for (let n = 0; n < times; n += 1) breaker.admit().failed(error);
};
const succeed = (times: number): void => {
  for (let n = 0; n < times; n += 1) breaker.admit().succeeded();
};
function refusal(): ModelError | null {
  try {
    breaker.admit().released();
    return null;
  } catch (error) {
    return error as ModelError;
  }
}
/** Lets the open time pass and takes the one call that may try. */
function probe(ms: number): Permit {
  time += ms - 1;
  expect(refusal()).not.toBeNull();
  time += 1;
  return breaker.admit();
}

describe('a closed circuit', () => {
  it.each(['upstream', 'connection', 'rate_limit'] as const)('opens at the fifth failure of class %s', (type) => {
    fail(4, failure(type));
    expect(refusal()).toBeNull();
    fail(1, failure(type));
    expect(refusal()).toMatchObject({ name: 'ModelError', type, retryable: false, options: { retry_after_ms: 5000 } });
  });

  it.each(['authentication', 'permission', 'invalid_request', 'unknown', 'internal'] as const)(
    'stays closed for the class %s',
    (type) => {
      fail(50, failure(type));
      expect(refusal()).toBeNull();
    },
  );

  it('stays closed for what would fail again whatever the provider does', () => {
    fail(50, failure('connection', { retryable: false }));
    expect(refusal()).toBeNull();
  });

  it('opens when half of the calls fail', () => {
    succeed(6);
    fail(5);
    expect(refusal()).toBeNull();
    fail(1);
    expect(refusal()).not.toBeNull();
  });

  it('takes refused requests for answers', () => {
    fail(6, failure('invalid_request'));
    fail(5);
    expect(refusal()).toBeNull();
  });

  it('stays closed while some calls pass a rate limit', () => {
    succeed(1);
    fail(100, failure('rate_limit'));
    expect(refusal()).toBeNull();
  });

  it('forgets what was more than a minute ago', () => {
    fail(4);
    time += 60_001;
    fail(4);
    expect(refusal()).toBeNull();
    fail(1);
    expect(refusal()).not.toBeNull();
  });

  it('counts a call once', () => {
    const permit = breaker.admit();
    for (let n = 0; n < 9; n += 1) permit.failed(failure());
    const released = breaker.admit();
    released.released();
    for (let n = 0; n < 9; n += 1) released.failed(failure());
    expect(refusal()).toBeNull();
  });
});

describe('an open circuit', () => {
  it('lets one call try when its time is over', () => {
    fail(5);
    const permit = probe(5000);
    expect(refusal()).not.toBeNull();
    permit.succeeded();
    expect(refusal()).toBeNull();
    fail(4);
    expect(refusal()).toBeNull();
  });

  it('closes as soon as the try is answered', () => {
    fail(5);
    const permit = probe(5000);
    permit.answered();
    expect(refusal()).toBeNull();
  });

  it('closes on an answer that refuses the request', () => {
    fail(5);
    probe(5000).failed(failure('invalid_request'));
    expect(refusal()).toBeNull();
  });

  it('doubles its time with each failed try, up to five minutes, until a call succeeds', () => {
    fail(5);
    for (const ms of [5000, 10_000, 20_000, 40_000, 80_000, 160_000, 300_000, 300_000]) probe(ms).failed(failure());
    probe(300_000).succeeded();
    fail(4);
    expect(refusal()).toBeNull();
    fail(1);
    expect(refusal()?.options.retry_after_ms).toBe(5000);
  });

  it('is not closed for long by a try that is answered and then cut off', () => {
    fail(5);
    const permit = probe(5000);
    permit.answered();
    permit.failed(failure('connection'));
    fail(4);
    expect(refusal()?.options.retry_after_ms).toBe(10_000);
  });

  it('spreads its time, by a quarter at most', () => {
    breaker = new CircuitBreaker({ now: () => time, random: () => 0 });
    fail(5);
    expect(refusal()?.options.retry_after_ms).toBe(3750);
  });

  it.each([
    [60_000, 60_000],
    [1000, 5000],
    [86_400_000, 300_000],
  ])('takes an advice of %d ms as %d ms', (retry_after_ms, open) => {
    fail(5, failure('rate_limit', { retry_after_ms }));
    expect(refusal()?.options.retry_after_ms).toBe(open);
  });

  it('lets the next call try when the first was given up', () => {
    fail(5);
    probe(5000).released();
    breaker.admit().succeeded();
    expect(refusal()).toBeNull();
  });

  it('does not wait for a try for ever, and does not listen to it then', () => {
    fail(5);
    const stuck = probe(5000);
    const second = probe(60_000);
    stuck.succeeded();
    expect(refusal()).not.toBeNull();
    second.failed(failure());
    expect(refusal()?.options.retry_after_ms).toBe(10_000);
  });

  it('does not listen to calls that began before', () => {
    const [late, later] = [breaker.admit(), breaker.admit()];
    fail(5);
    late.succeeded();
    expect(refusal()).not.toBeNull();
    later.failed(failure());
    expect(refusal()?.options.retry_after_ms).toBe(5000);
  });
});
