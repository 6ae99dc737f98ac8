import { KeyProvider, KeyProviderUnavailable, type WrappedKey } from './key-provider.js';

const WITHIN_MS = 10_000;

/**
 * A provider that does not answer in time is unavailable. Whoever waits for a key shares the wait of the first who asked, so a call that
 * never ended would keep a tenant from its secrets for as long as the process runs.
 */
export class TimedKeys extends KeyProvider {
  constructor(
    private readonly keys: KeyProvider,
    private readonly within_ms = WITHIN_MS,
  ) {
    super();
  }

  override activeKeyId(): Promise<string> {
    return this.timed(this.keys.activeKeyId());
  }

  override holds(kid: string): Promise<boolean> {
    return this.timed(this.keys.holds(kid));
  }

  override wrap(dataKey: Buffer, context: string): Promise<WrappedKey> {
    return this.timed(this.keys.wrap(dataKey, context));
  }

  override unwrap(key: WrappedKey, context: string): Promise<Buffer> {
    return this.timed(this.keys.unwrap(key, context), (late) => late.fill(0));
  }

  /** `drop` gets an answer that nobody waits for any more. */
  private timed<T>(asked: Promise<T>, drop?: (late: T) => void): Promise<T> {
    const { promise, resolve, reject } = Promise.withResolvers<T>();
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      reject(new KeyProviderUnavailable(`the key provider gave no answer within ${this.within_ms} ms`));
    }, this.within_ms);
    asked.finally(() => clearTimeout(timer)).then((answer) => (isLate ? drop?.(answer) : resolve(answer)), reject);
    return promise;
  }
}
