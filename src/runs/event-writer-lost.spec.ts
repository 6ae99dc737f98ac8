import { describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../core/events/agent-event.js';
import { EventLog, type AppendBatch, type SessionRef } from '../events/event-log.js';
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
  return new EventWriter(log, { lease, seq: 0, prev: 0, verify, onFenced: ignore, onError: ignore, ...options });
}

async function seqs(log: EventLog): Promise<number[]> {
  const batches = await log.read(REF, 0, 100_000);
  return batches.flatMap((batch) => [...eachFrame(batch.frames)].map((it) => it.seq));
}

/** A log on a server that may be replaced by another one. */
class ReplaceableLog extends EventLog {
  generation = 0;
  looks = 0;
  server = new LocalEventLog(LIMITS);

  append = (batch: AppendBatch) => this.server.append(batch);
  read = (ref: SessionRef, after: number, limit: number) => this.server.read(ref, after, limit);
  subscribe = (...args: Parameters<EventLog['subscribe']>) => this.server.subscribe(...args);
  remove = (ref: SessionRef) => this.server.remove(ref);
  top = (ref: SessionRef) => {
    this.looks++;
    return this.server.top(ref);
  };

  /** The connection was lost; what answers now has the first `kept` batches. */
  async replace(kept: number): Promise<void> {
    const before = await this.server.read(REF, 0, kept);
    this.generation++;
    this.server = new LocalEventLog(LIMITS);
    for (const { prev, first, last, frames } of before) {
      const at = { ...REF, token: 1, keep_from: 0, create: true };
      await this.server.append({ ...at, prev, first, last, frames: frames.toString() });
    }
  }
}

describe('EventWriter: onLost', () => {
  async function setUp(...said: string[]) {
    const log = new ReplaceableLog();
    const counts = { lost: 0, fenced: 0 };
    const verdict = { exists: true, withdraws: false };
    const writer = open(log, {
      verify: () => Promise.resolve(verdict.exists),
      onLost: () => {
        counts.lost++;
        return verdict.withdraws;
      },
      onFenced: () => counts.fenced++,
    });
    const say = async (text: string) => {
      writer.emit(delta(text));
      await writer.flushed();
    };
    for (const text of said) await say(text);
    return { log, counts, verdict, writer, say };
  }

  it('is told of a log that is missing after it had acknowledged, once', async () => {
    const { log, counts, say } = await setUp('a', 'b');
    log.server = new LocalEventLog(LIMITS);
    await say('c');
    await say('d');
    expect([counts.lost, await seqs(log)]).toEqual([1, [3, 4]]);
  });

  it('is told of a server that lacks what was acknowledged, once', async () => {
    const { log, counts, say } = await setUp('a', 'b');
    await log.replace(1);
    await say('c');
    await say('d');
    expect([counts.lost, await seqs(log)]).toEqual([1, [1, 3, 4]]);
  });

  it('is told of an empty server, once', async () => {
    const { log, counts, say } = await setUp('a', 'b');
    await log.replace(0);
    await say('c');
    await say('d');
    expect([counts.lost, await seqs(log)]).toEqual([1, [3, 4]]);
  });

  it('is told again of what is lost again', async () => {
    const { log, counts, say } = await setUp('a');
    await log.replace(0);
    await say('b');
    await log.replace(0);
    await say('c');
    expect(counts.lost).toBe(2);
  });

  it('is not told when nothing was lost; the log is looked at once for a new connection', async () => {
    const { log, counts, say } = await setUp('a', 'b');
    await log.replace(2);
    await say('c');
    await say('d');
    expect([counts.lost, log.looks, await seqs(log)]).toEqual([0, 1, [1, 2, 3, 4]]);
  });

  it('is not told when nothing was acknowledged before', async () => {
    const { log, counts, say } = await setUp();
    await log.replace(0);
    await say('a');
    expect([counts.lost, log.looks, await seqs(log)]).toEqual([0, 0, [1]]);
  });

  it('is not told of a deleted session', async () => {
    const { log, counts, verdict, say } = await setUp('a');
    await log.replace(0);
    verdict.exists = false;
    await say('b');
    expect([counts, await seqs(log)]).toEqual([{ lost: 0, fenced: 1 }, []]);
  });

  it.each([0, 1])('withdraws what is not written when it is told to, until it is resumed (%i kept)', async (kept) => {
    const { log, counts, verdict, writer, say } = await setUp('a', 'b');
    verdict.withdraws = true;
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
});
