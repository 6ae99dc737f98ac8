/** A data key as it stands in a row: `bytes` opens only with the master key that `kid` names. */
export interface WrappedKey {
  /** Names the master key: at most 256 characters, and nothing that tells the key. */
  readonly kid: string;
  readonly bytes: Buffer;
}

/** The provider cannot be asked now. The same call may succeed later, and nothing is said about the key. */
export class KeyProviderUnavailable extends Error {
  override readonly name = 'KeyProviderUnavailable';
}

/**
 * The master keys of a deployment: they wrap data keys and never leave the provider. Every process of a deployment has the same ones.
 * Its contract is the suite in test/contract/key-provider.ts.
 */
export abstract class KeyProvider {
  /** The master key that `wrap` uses now. */
  abstract activeKeyId(): Promise<string>;

  /** Whether `unwrap` can use that master key now; false for one that was disabled or taken out. */
  abstract holds(kid: string): Promise<boolean>;

  /**
   * Wraps a data key. `context` says what it is for; `unwrap` fails unless it is told the same. Throws `KeyProviderUnavailable` when
   * nobody can be asked.
   */
  abstract wrap(dataKey: Buffer, context: string): Promise<WrappedKey>;

  /**
   * The data key, in a buffer that is the caller's own. Throws `SealError` for a key that was changed, is for another context, or whose
   * master key is not there; `KeyProviderUnavailable` when nobody can be asked.
   */
  abstract unwrap(key: WrappedKey, context: string): Promise<Buffer>;
}
