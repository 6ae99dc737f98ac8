import { afterEach, describe, expect, it } from '@jest/globals';
import type { EventBatch, SessionRef } from './event-log.js';
import { follow, type Followed } from './follow.js';
import { eachFrame, frame } from './frames.js';
import { LocalEventLog } from './local-event-log.js';

const REF = { tenant_id: 't', session_id: 's' };

/** A log that can be emptied while what it published is still to be heard, and whose answers to readers can be held up. */
class FragileLog extends LocalEventLog {
  private since = 0;
  private gate = Promise.resolve();

  constructor() {
    super({ max_entries: 1000, ttl_seconds: 60 });
  }

  async say(first: number, last = first, prev = first - 1): Promise<void> {
    let frames = '';
    for (let seq = first; seq <= last; seq++) frames += frame(seq, '{}');
    const at = { ...REF, token: 1, keep_from: 0, acknowledged: 0, create: true };
    await this.append({ ...at, prev, first, last, frames });
  }

  /** Forgets all up to this number. */
  lose(last: number): void {
    this.since = last;
  }

  hold(): () => void {
    let open = () => undefined as void;
    this.gate = new Promise((resolve) => (open = resolve));
    return open;
  }

  override async read(ref: SessionRef, after: number, limit: number): Promise<EventBatch[]> {
    await this.gate;
    return super.read(ref, Math.max(after, this.since), limit);
  }
}

const leaving: AbortController[] = [];
afterEach(() => {
  for (const controller of leaving.splice(0)) controller.abort();
});

/** What a follower is given: numbers, and `gap <number>`. */
function listen(log: FragileLog, after = 0) {
  const controller = new AbortController();
  leaving.push(controller);
  const options = { after, committed: 0, live: true, signal: controller.signal, max_buffer: 1e6 };
  const given: string[] = [];
  let wake = () => undefined as void;
  const take = (item: Followed) => {
    if (item.type === 'batch') given.push(...[...eachFrame(item.batch.frames)].map(({ seq }) => `${seq}`));
    if (item.type === 'gap') given.push(`gap ${item.up_to}`);
    wake();
  };
  void (async () => {
    for await (const item of follow(log, REF, options)) take(item);
  })();
  const first = async (count: number) => {
    while (given.length < count) await new Promise<void>((resolve) => (wake = resolve));
    return given;
  };
  return { given, first };
}

const turn = () => new Promise((resolve) => setTimeout(resolve, 5));

describe('follow, when the log is lost', () => {
  it('passes on nothing from the midst of what is lost, and all that is said anew', async () => {
    const log = new FragileLog();
    await log.say(1, 3);
    const open = log.hold();
    const behind = listen(log);
    await turn();
    await log.say(4);
    await log.say(5);
    log.lose(5);
    open();
    expect(await behind.first(2)).toEqual(['gap 3', 'gap 4']);
    await turn();
    await log.say(9, 10, 8);
    expect(await behind.first(5)).toEqual(['gap 3', 'gap 4', 'gap 8', '9', '10']);
  });

  it('passes on what it heard to one who has all before it', async () => {
    const log = new FragileLog();
    await log.say(1, 3);
    const follower = listen(log);
    await follower.first(3);
    log.lose(4);
    await log.say(4);
    expect(await follower.first(4)).toEqual(['1', '2', '3', '4']);
  });
});
