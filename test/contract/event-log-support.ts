import { randomUUID } from 'node:crypto';
import type { EventLog, Signal } from '../../src/events/event-log.js';
import { follow, type Followed } from '../../src/events/follow.js';
import { eachFrame, frame } from '../../src/events/frames.js';

export const LIMITS = { max_entries: 16, ttl_seconds: 60 };

/** The log of one session, and what tests do with it. */
export class Fixture {
  readonly ref = { tenant_id: 'acme', session_id: randomUUID() };

  constructor(readonly log: EventLog) {}

  append(
    first: number,
    last: number,
    change: { token?: number; prev?: number; keep_from?: number; acknowledged?: number; create?: boolean } = {},
  ) {
    let frames = '';
    for (let seq = first; seq <= last; seq++) frames += frame(seq, `{"n":${seq}}`);
    return this.log.append({
      ...this.ref,
      token: 1,
      prev: first - 1,
      first,
      last,
      frames,
      keep_from: last,
      acknowledged: 0,
      create: true,
      ...change,
    });
  }

  async replayed(after: number): Promise<number[]> {
    const follower = this.follow(after);
    const top = (await this.log.top(this.ref)) ?? 0;
    if (top > after) await follower.until(top);
    follower.stop();
    await follower.done;
    return follower.seqs;
  }

  async listen() {
    const lasts: number[] = [];
    let wake = () => undefined as void;
    const stop = await this.log.subscribe(this.ref, (signal: Signal) => {
      if (signal.type === 'batch') lasts.push(signal.batch.last);
      wake();
    });
    const count = async (n: number) => {
      while (lasts.length < n) await new Promise<void>((resolve) => (wake = resolve));
    };
    return { lasts, count, stop };
  }

  follow(after: number, options: { committed?: number; live?: boolean } = {}): Follower {
    return new Follower(this, after, options);
  }
}

class Follower {
  readonly seqs: number[] = [];
  readonly gaps: number[] = [];
  ended = false;
  readonly done: Promise<void>;
  private readonly controller = new AbortController();
  private wake: () => void = () => undefined;

  constructor(
    fixture: Fixture,
    after: number,
    { committed = 0, live = false }: { committed?: number; live?: boolean },
  ) {
    const { signal } = this.controller;
    this.done = this.read(follow(fixture.log, fixture.ref, { after, committed, live, signal, max_buffer: 1e6 }));
  }

  async until(seq: number): Promise<void> {
    while (!this.seqs.includes(seq)) await this.next();
  }

  async gap(): Promise<void> {
    while (this.gaps.length === 0) await this.next();
  }

  stop(): void {
    this.controller.abort();
  }

  private next(): Promise<void> {
    return new Promise((resolve) => (this.wake = resolve));
  }

  private async read(source: AsyncIterable<Followed>): Promise<void> {
    for await (const item of source) {
      if (item.type === 'batch') for (const { seq } of eachFrame(item.batch.frames)) this.seqs.push(seq);
      if (item.type === 'gap') this.gaps.push(item.up_to);
      if (item.type === 'end') this.ended = true;
      this.wake();
    }
  }
}
