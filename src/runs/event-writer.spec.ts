import { describe, expect, it } from '@jest/globals';
import type { AgentEvent } from '../core/events/agent-event.js';
import { EventLog, type AppendBatch, type AppendResult } from '../events/event-log.js';
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

/** Resolves when the event of this number has been appended. */
function heard(log: EventLog, seq: number): Promise<void> {
  return new Promise((resolve) => {
    void log.subscribe(REF, (signal) => {
      if (signal.type === 'batch' && signal.batch.last >= seq) resolve();
    });
  });
}

/** A log whose appends wait for the test to let them through, or fail as told. */
class GatedLog extends LocalEventLog {
  readonly batches: AppendBatch[] = [];
  failures = 0;
  gate: Promise<void> = Promise.resolve();

  constructor() {
    super(LIMITS);
  }

  override async append(batch: AppendBatch): Promise<AppendResult> {
    await this.gate;
    if (this.failures > 0) {
      this.failures--;
      throw new Error('the bus is away');
    }
    const result = await super.append(batch);
    if (result === 'ok') this.batches.push(batch);
    return result;
  }
}

async function texts(log: EventLog): Promise<string[]> {
  return (await log.read(REF, 0, 100)).map((batch) => /"delta":"(\w+)"/.exec(batch.frames.toString())?.[1] ?? '');
}

describe('EventWriter', () => {
  it('gathers what one turn of the event loop says into one batch', async () => {
    const log = new GatedLog();
    const writer = open(log);
    for (let i = 0; i < 200; i++) writer.emit(delta(`${i}`));
    await writer.flushed();
    expect(log.batches.map(({ prev, first, last }) => [prev, first, last])).toEqual([[0, 1, 200]]);
  });

  it('sends at once when it is told to, and the rest behind it', async () => {
    const log = new GatedLog();
    const writer = open(log);
    writer.emit(delta('first'));
    writer.send();
    for (let i = 0; i < 10; i++) writer.emit(delta(`${i}`));
    await writer.flushed();
    expect(log.batches.map(({ prev, first, last }) => [prev, first, last])).toEqual([
      [0, 1, 1],
      [1, 2, 11],
    ]);
  });

  it('leaves no event behind, in whichever microtask it is released', async () => {
    for (let ticks = 0; ticks < 40; ticks++) {
      const log = new GatedLog();
      const writer = open(log);
      writer.emit(delta('one'));
      writer.send();
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
      writer.emit(delta('two'));
      await writer.flushed();
      expect(await seqs(log)).toEqual([1, 2]);
    }
  });

  it('does the same without anybody waiting for it', async () => {
    for (let ticks = 0; ticks < 40; ticks++) {
      const log = new GatedLog();
      const writer = open(log);
      const heard = new Promise<void>((resolve) => {
        void log.subscribe(REF, (signal) => {
          if (signal.type === 'batch' && signal.batch.last === 2) resolve();
        });
      });
      writer.emit(delta('one'));
      writer.send();
      for (let tick = 0; tick < ticks; tick++) await Promise.resolve();
      writer.emit(delta('two'));
      await heard;
    }
  });

  it('holds an event back under its number until it is released', async () => {
    const log = new GatedLog();
    const writer = open(log);
    writer.emit(delta('a'));
    const held = writer.hold(delta('b'));
    await writer.flushed();
    expect(await seqs(log)).toEqual([1]);
    expect([held.seq, writer.last_seq]).toEqual([2, 2]);
    writer.release(held);
    await writer.flushed();
    expect(await seqs(log)).toEqual([1, 2]);
  });

  it('tries again while the bus is away, in order and without loss, and holds nobody up meanwhile', async () => {
    const log = new GatedLog();
    log.failures = 3;
    const errors: unknown[] = [];
    const writer = open(log, { onError: (error) => errors.push(error) });
    const arrived = heard(log, 2);
    writer.emit(delta('a'));
    writer.send();
    writer.emit(delta('b'));
    await writer.flushed();
    expect(await seqs(log)).toEqual([]);
    await arrived;
    expect(await seqs(log)).toEqual([1, 2]);
    expect(errors).toHaveLength(1);
  });

  it('drops the oldest when the bus stays away, and lets followers see the hole', async () => {
    const log = new GatedLog();
    const writer = open(log);
    log.failures = 2;
    const failed = new Promise<void>((resolve) => void writer.flushed().then(resolve));
    writer.emit(delta('first'));
    writer.send();
    await failed;
    await writer.flushed();
    for (let i = 0; i < 12; i++) writer.emit(delta('x'.repeat(1_000_000)));
    const arrived = heard(log, 13);
    await arrived;
    const kept = await log.read(REF, 0, 100);
    expect(kept[0]?.prev).toBeGreaterThan(0);
    expect(kept[0]?.first).toBe((kept[0]?.prev ?? 0) + 1);
    expect((await seqs(log)).at(-1)).toBe(13);
  });

  it('is congested while a slow bus holds a lot up, and not while the bus is away', async () => {
    const log = new GatedLog();
    let openGate = () => undefined as void;
    log.gate = new Promise((resolve) => (openGate = resolve));
    const writer = open(log);
    writer.emit(delta('x'));
    writer.send();
    for (let i = 0; i < 5; i++) writer.emit(delta('y'.repeat(1_000_000)));
    expect(writer.congested).toBe(true);
    openGate();
    await writer.flushed();
    expect(writer.congested).toBe(false);
  });

  it('creates a missing log only for a session that exists', async () => {
    const gone = new GatedLog();
    let fenced = 0;
    const writer = open(gone, { verify: () => Promise.resolve(false), onFenced: () => fenced++ });
    writer.emit(delta('a'));
    await writer.flushed();
    writer.emit(delta('b'));
    await writer.flushed();
    expect([fenced, await gone.top(REF)]).toEqual([1, null]);
  });

  it('falls silent when a later holder has written', async () => {
    const log = new GatedLog();
    let fenced = 0;
    const old = open(log, { onFenced: () => fenced++ });
    old.emit(delta('a'));
    await old.flushed();
    const later = open(log, { lease: { ...REF, owner: 'm', token: 2 }, seq: 1000, prev: 1 });
    later.emit(delta('b'));
    await later.flushed();
    old.emit(delta('c'));
    await old.flushed();
    expect(fenced).toBe(1);
    expect(await seqs(log)).toEqual([1, 1001]);
  });
});

describe('EventWriter: an event that is said otherwise', () => {
  it('keeps the number it was held under', async () => {
    const log = new GatedLog();
    const writer = open(log);
    const first = writer.hold(delta('first'));
    const second = writer.hold(delta('second'), first.seq);
    expect([second.seq, writer.last_seq]).toEqual([1, 1]);
    const removed = writer.hold(delta('removed'));
    writer.release(second);
    writer.release(removed);
    await writer.flushed();
    expect(await seqs(log)).toEqual([1, 2]);
    expect((await texts(log)).join()).toBe('second');
  });
});

describe('EventWriter: settle', () => {
  it('waits for a bus that is away, unlike flushed', async () => {
    const log = new GatedLog();
    log.failures = 2;
    const writer = open(log);
    expect(writer.settled).toBe(true);
    writer.emit(delta('a'));
    await writer.flushed();
    expect([writer.settled, await seqs(log)]).toEqual([false, []]);
    await writer.settle();
    expect([writer.settled, await seqs(log)]).toEqual([true, [1]]);
  });

  it('ends when the writer is stopped', async () => {
    const log = new GatedLog();
    log.gate = new Promise(() => undefined);
    const writer = open(log);
    writer.emit(delta('a'));
    const settled = writer.settle();
    writer.stop();
    await settled;
    expect([writer.settled, await seqs(log)]).toEqual([true, []]);
  });
});
