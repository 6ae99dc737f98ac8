interface Opened {
  readonly key: Buffer;
  readonly until: number;
}

/**
 * Data keys in the clear, at most so many and each for so long; what is dropped is overwritten. A key is only ever used inside `use`,
 * without an await in between: whoever kept one might find it overwritten by zeros, and seal with those.
 */
export class OpenedKeys {
  private readonly opened = new Map<string, Opened>();
  private readonly opening = new Map<string, Promise<void>>();

  constructor(
    private readonly limits: { readonly max: number; readonly ttl_ms: number },
    private readonly now: () => number = () => performance.now(),
  ) {}

  /** Runs `work` with the key of that name, which `open` gives when it is not here; at most one `open` of a name is under way. */
  async use<T>(name: string, open: () => Promise<Buffer>, work: (key: Buffer) => T): Promise<T> {
    for (;;) {
      const found = this.opened.get(name);
      if (found && found.until > this.now()) {
        this.opened.delete(name);
        this.opened.set(name, found);
        return work(found.key);
      }
      this.drop(name);
      let opening = this.opening.get(name);
      if (!opening) {
        opening = this.open(name, open).finally(() => this.opening.delete(name));
        this.opening.set(name, opening);
      }
      await opening;
    }
  }

  clear(): void {
    for (const name of [...this.opened.keys()]) this.drop(name);
  }

  get size(): number {
    return this.opened.size;
  }

  private async open(name: string, open: () => Promise<Buffer>): Promise<void> {
    const key = await open();
    this.opened.set(name, { key, until: this.now() + this.limits.ttl_ms });
    const [oldest] = this.opened.keys();
    if (this.opened.size > this.limits.max && oldest !== undefined) this.drop(oldest);
  }

  private drop(name: string): void {
    this.opened.get(name)?.key.fill(0);
    this.opened.delete(name);
  }
}
