import { KeyProvider, type WrappedKey } from './key-provider.js';
import { SealError } from './seal.js';

/** Several providers as one: the first wraps, each unwraps what is its own. So a deployment moves from one to another by a rotation. */
export class KeyChain extends KeyProvider {
  constructor(
    private readonly first: KeyProvider,
    private readonly others: readonly KeyProvider[],
  ) {
    super();
  }

  override activeKeyId(): Promise<string> {
    return this.first.activeKeyId();
  }

  override async holds(kid: string): Promise<boolean> {
    return (await this.holderOf(kid)) !== undefined;
  }

  override wrap(dataKey: Buffer, context: string): Promise<WrappedKey> {
    return this.first.wrap(dataKey, context);
  }

  override async unwrap(key: WrappedKey, context: string): Promise<Buffer> {
    const holder = await this.holderOf(key.kid);
    if (!holder) throw new SealError(`nobody holds key ${key.kid.slice(0, 64)}`);
    return holder.unwrap(key, context);
  }

  /** Those in memory are asked first: they answer at once, also while a remote one is away. */
  private async holderOf(kid: string): Promise<KeyProvider | undefined> {
    for (const provider of [...this.others, this.first]) if (await provider.holds(kid)) return provider;
    return undefined;
  }
}
