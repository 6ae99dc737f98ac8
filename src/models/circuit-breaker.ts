import { ModelError } from '../core/models/chat-model.js';

export interface BreakerOptions {
  /** Milliseconds on a clock that never goes back. */
  readonly now?: () => number;
  /** In [0, 1); spreads the times at which circuits are tried again. */
  readonly random?: () => number;
}

/** A call that may go out, and what becomes of it. Only the first ending counts. */
export interface Permit {
  /** The provider has begun to answer. */
  answered(): void;
  succeeded(): void;
  failed(error: ModelError): void;
  /** The call was given up by its caller. */
  released(): void;
}

type State = 'closed' | 'open' | 'probing';

const WINDOW_MS = 60_000;
const SLICES = 6;
const SLICE_MS = WINDOW_MS / SLICES;
const MIN_FAILURES = 5;
const FAILURE_RATE = 0.5;
const FIRST_OPEN_MS = 5000;
const MAX_OPEN_MS = 300_000;
/** A probe that has not begun to answer by then no longer keeps others from trying. */
const PROBE_MS = 60_000;

/** Refusals of the request or the key: the provider works, and a corrected key or request must not wait. */
const ANSWERS = new Set<ModelError['type']>(['authentication', 'permission', 'invalid_request']);

interface Slice {
  index: number;
  successes: number;
  outages: number;
  limited: number;
}

/**
 * Keeps calls from a provider that fails: it fails at once instead of slowly, and is left to recover. Opens when, within a minute, at
 * least 5 calls failed that might have succeeded, and they were half of all; being rate limited opens it only when nothing at all gets
 * through, since waiting as advised serves those calls better. Then one call at a time tries again: after 5 s, doubled each time it fails
 * (up to 5 min, with jitter), or after what the provider asked for if that is longer. A call that began before a change of state no
 * longer counts.
 *
 * It lives in one process on purpose: five calls are all it takes to learn the same elsewhere, what one process cannot reach others may
 * reach, and no call has to ask a store first.
 */
export class CircuitBreaker {
  private readonly now: () => number;
  private readonly random: () => number;
  private state: State = 'closed';
  private slices: Slice[] = [];
  /** Changes with each change of state. */
  private epoch = 0;
  private openings = 0;
  private until = 0;
  private lastError: ModelError | null = null;

  constructor({ now = () => performance.now(), random = Math.random }: BreakerOptions = {}) {
    this.now = now;
    this.random = random;
  }

  /** Throws what the call fails with while the circuit is open: the class of failure that opened it, not to be tried again. */
  admit(): Permit {
    const now = this.now();
    if (this.state === 'closed') return this.permit();
    if (now < this.until) throw this.refusal(now);
    this.enter('probing', now + PROBE_MS);
    return this.permit();
  }

  private permit(): Permit {
    let { epoch } = this;
    let ended = false;
    const once = (act: () => void): void => {
      if (ended) return;
      ended = true;
      if (epoch === this.epoch) act();
    };
    return {
      answered: () => {
        if (ended || epoch !== this.epoch || this.state !== 'probing') return;
        this.enter('closed', 0);
        // What becomes of this call counts for the closed circuit.
        ({ epoch } = this);
      },
      succeeded: () => once(() => this.onSuccess()),
      failed: (error) => once(() => this.onFailure(error)),
      released: () => once(() => this.onNothing()),
    };
  }

  private onSuccess(): void {
    if (this.state === 'probing') this.enter('closed', 0);
    this.openings = 0;
    this.slice().successes += 1;
  }

  private onFailure(error: ModelError): void {
    if (ANSWERS.has(error.type)) return this.onSuccess();
    if (!error.retryable) return this.onNothing();
    if (this.state === 'probing') return this.open(error);
    const slice = this.slice();
    if (error.type === 'rate_limit') slice.limited += 1;
    else slice.outages += 1;
    if (this.isFailing()) this.open(error);
  }

  /** The next call may probe at once. */
  private onNothing(): void {
    if (this.state === 'probing') this.enter('open', this.now());
  }

  private isFailing(): boolean {
    const sum = (pick: (slice: Slice) => number): number => this.slices.reduce((total, it) => total + pick(it), 0);
    const outages = sum((it) => it.outages);
    const limited = sum((it) => it.limited);
    const successes = sum((it) => it.successes);
    if (successes === 0 && outages + limited >= MIN_FAILURES) return true;
    return outages >= MIN_FAILURES && outages / (outages + limited + successes) >= FAILURE_RATE;
  }

  private open(error: ModelError): void {
    const backOff = Math.min(FIRST_OPEN_MS * 2 ** this.openings, MAX_OPEN_MS) * (0.75 + this.random() / 4);
    const advised = Math.min(error.options.retry_after_ms ?? 0, MAX_OPEN_MS);
    this.openings += 1;
    this.lastError = error;
    this.enter('open', this.now() + Math.max(backOff, advised));
  }

  private enter(state: State, until: number): void {
    if (state === 'closed') this.slices = [];
    this.state = state;
    this.until = until;
    this.epoch += 1;
  }

  private refusal(now: number): ModelError {
    return new ModelError(
      this.lastError?.type ?? 'upstream',
      'Not called: its circuit is open after repeated failures.',
      {
        retryable: false,
        retry_after_ms: Math.ceil(this.until - now),
      },
    );
  }

  private slice(): Slice {
    const index = Math.floor(this.now() / SLICE_MS);
    this.slices = this.slices.filter((it) => it.index > index - SLICES);
    let slice = this.slices.at(-1);
    if (slice?.index !== index) {
      slice = { index, successes: 0, outages: 0, limited: 0 };
      this.slices.push(slice);
    }
    return slice;
  }
}
