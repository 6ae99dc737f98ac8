import { describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../core/events/agent-event.js';
import { EventLog, type AppendBatch, type AppendResult, type SessionRef } from '../events/event-log.js';
import { eachFrame } from '../events/frames.js';
import { LocalEventLog } from '../events/local-event-log.js';
import { EventWriter, type WriterOptions } from './event-writer.js';

const REF = { tenant_id: 't', session_id: 's' };
const LIMITS = { max_entries: 100_000, ttl_seconds: 60 };

const delta = (text: string): AgentEvent => ({
  type: 'TEXT_BLOCK_DELTA',
  id: 'e',
  created_at: '2026-11-20T10:00:00.000Z',
  reply_id: 'r',
  block_id: 'b',
  delta: text,
});

function open(log: EventLog, options: Partial<WriterOptions> = {}): EventWriter {
  const lease = { ...REF, owner: 'n', token: 1 };
  const verify = () => Promise.resolve(true);
  const ignore = () => undefined;
  const heard = { onFenced: ignore, onLost: ignore, onError: ignore };
  return new EventWriter(log, { lease, seq: 0, prev: 0, verify, ...heard, ...options });
}

async function seqs(log: EventLog): Promise<number[]> {
  const batches = await log.read(REF, 0, 100_000);
  return batches.flatMap((batch) => [...eachFrame(batch.frames)].map((it) => it.seq));
}

/** A log on a server that may be replaced by another one. */
class ReplaceableLog extends EventLog {
  server = new LocalEventLog(LIMITS);
  /** What befalls an append that the server has done, before it is answered. */
  answered: () => Promise<void> = () => Promise.resolve();

  read = (ref: SessionRef, after: number, limit: number) => this.server.read(ref, after, limit);
  subscribe = (...args: Parameters<EventLog['subscribe']>) => this.server.subscribe(...args);
  remove = (ref: SessionRef) => this.server.remove(ref);
  top = (ref: SessionRef) => this.server.top(ref);

  async append(batch: AppendBatch): Promise<AppendResult> {
    const result = await this.server.append(batch);
    await this.answered();
    return result;
  }

  /** What answers now has the first `kept` batches. */
  async replace(kept: number): Promise<void> {
    const before = await this.server.read(REF, 0, kept);
    this.server = new LocalEventLog(LIMITS);
    for (const { prev, first, last, frames } of before) {
      const at = { ...REF, token: 1, keep_from: 0, acknowledged: 0, create: true };
      await this.server.append({ ...at, prev, first, last, frames: frames.toString() });
    }
  }
}

describe('EventWriter: a log that lost what it had acknowledged', () => {
  async function setUp(...said: string[]) {
    const log = new ReplaceableLog();
    const counts = { lost: 0, fenced: 0 };
    const session = { exists: true };
    const writer = open(log, {
      verify: () => Promise.resolve(session.exists),
      onLost: () => counts.lost++,
      onFenced: () => counts.fenced++,
    });
    const say = async (text: string) => {
      writer.emit(delta(text));
      await writer.flushed();
    };
    for (const text of said) await say(text);
    return { log, counts, session, writer, say };
  }

  it.each([0, 1])('is given nothing more until the writer is resumed (%i kept)', async (kept) => {
    const { log, counts, writer, say } = await setUp('a', 'b');
    await log.replace(kept);
    await say('c');
    await say('d');
    const before = Array.from({ length: kept }, (_, n) => n + 1);
    expect([counts.lost, writer.settled, await seqs(log)]).toEqual([1, true, before]);
    writer.resume();
    await say('e');
    await say('f');
    expect([counts.lost, await seqs(log)]).toEqual([1, [...before, 5, 6]]);
    // Followers see the hole.
    expect((await log.read(REF, kept, 10))[0]).toMatchObject({ prev: 4, first: 5, last: 5 });
  });

  it('is noticed again when it happens again, also to what is said anew', async () => {
    const { log, counts, writer, say } = await setUp('a');
    for (const lost of [1, 2]) {
      await log.replace(0);
      await say('withdrawn');
      writer.resume();
      await say('anew');
      expect(counts.lost).toBe(lost);
    }
    expect(await seqs(log)).toEqual([5]);
  });

  it('is noticed when it was begun anew with the end of an earlier run', async () => {
    const { log, counts, say } = await setUp('a', 'b', 'c');
    await log.replace(1);
    await say('d');
    expect([counts.lost, await seqs(log)]).toEqual([1, [1]]);
  });

  it('is given again whole what it never acknowledged', async () => {
    const { log, counts, writer, say } = await setUp();
    log.answered = async () => {
      log.answered = () => Promise.resolve();
      await log.replace(0);
      throw new Error('the connection is gone');
    };
    await say('a');
    await say('b');
    await writer.settle();
    expect([counts.lost, await seqs(log)]).toEqual([0, [1, 2]]);
  });

  it('is not made out of one that another server has, too', async () => {
    const { log, counts, say } = await setUp('a', 'b');
    await log.replace(2);
    await say('c');
    await say('d');
    expect([counts.lost, await seqs(log)]).toEqual([0, [1, 2, 3, 4]]);
  });

  it('is not made out of that of a deleted session', async () => {
    const { log, counts, session, say } = await setUp('a');
    await log.replace(0);
    session.exists = false;
    await say('b');
    expect([counts, await seqs(log)]).toEqual([{ lost: 0, fenced: 1 }, []]);
  });
});
