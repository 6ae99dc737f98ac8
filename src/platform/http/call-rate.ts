interface Bucket {
  tokens: number;
  at: number;
}

/** So many calls of one caller in so much time, in this process; the callers longest unheard of are forgotten. */
export class CallRate {
  private readonly buckets = new Map<string, Bucket>();

  constructor(
    private readonly limit: { readonly calls: number; readonly per_ms: number; readonly callers: number },
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Counts a call; gives 0, or in how many milliseconds to ask again, when it is one too many. */
  take(caller: string): number {
    const { calls, per_ms, callers } = this.limit;
    const now = this.now();
    const known = this.buckets.get(caller) ?? { tokens: calls, at: now };
    const tokens = Math.min(calls, known.tokens + ((now - known.at) * calls) / per_ms);
    const isAllowed = tokens >= 1;
    this.buckets.delete(caller);
    this.buckets.set(caller, { tokens: isAllowed ? tokens - 1 : tokens, at: now });
    const [oldest] = this.buckets.keys();
    if (this.buckets.size > callers && oldest !== undefined) this.buckets.delete(oldest);
    return isAllowed ? 0 : ((1 - tokens) * per_ms) / calls;
  }
}
