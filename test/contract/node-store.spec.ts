import { afterAll, beforeAll, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { setTimeout as delay } from 'node:timers/promises';
import { eachFrame, frame } from '../../src/events/frames.js';
import { LocalEventLog } from '../../src/events/local-event-log.js';
import { EndingRepair } from '../../src/runs/ending-repair.js';
import { NodePgStore } from '../../src/runs/pg/node.pg-store.js';
import { alice, finishOf, Ledger, parkOf, system } from './run-store-support.js';

let ledger: Ledger;
let nodes: NodePgStore;
let log: LocalEventLog;
let repair: EndingRepair;

beforeAll(async () => {
  ledger = await Ledger.open();
  nodes = new NodePgStore(ledger.database);
});
beforeEach(async () => {
  await ledger.clear();
  await ledger.sql('DELETE FROM nodes');
  log = new LocalEventLog({ max_entries: 1000, ttl_seconds: 3600 });
  repair = new EndingRepair(log, nodes, ledger.store);
});
afterAll(() => ledger.close());

const removal = {
  type: 'CUSTOM' as const,
  id: 'removal',
  created_at: '2026-11-21T10:00:00.000Z',
  name: 'reply_removed',
};

/** A run that n1 has finished with its end as number 9; the log has what came before, up to `top`. */
async function finished(top: number | null, remove = false) {
  const { session, run, held } = await ledger.working();
  const end = finishOf(run, 9);
  const withdrawal = frame(10, JSON.stringify({ ...removal, value: { reply_id: run.reply_id } }));
  const rolledBack = { last_seq: 10, remove, ending: { ...end.ending, frames: end.ending.frames + withdrawal } };
  await ledger.store.finish(held, { ...end, ...(remove ? rolledBack : {}) });
  const ref = { tenant_id: 'acme', session_id: session };
  if (top !== null) {
    const batch = { prev: 0, first: 1, last: top, frames: 'id: 1\ndata: {}\n\n' };
    await log.append({ ...ref, ...batch, token: held.token, keep_from: 1, acknowledged: 0, create: true });
  }
  return { ref, run };
}

async function said(ref: { tenant_id: string; session_id: string }, after: number) {
  const batches = await log.read(ref, after, 100);
  return batches.flatMap((batch) => [...eachFrame(batch.frames)].map((it) => ({ prev: batch.prev, ...it })));
}

const silence = (node: string) => ledger.sql(`UPDATE nodes SET seen_at = now() - interval '1 h' WHERE id = $1`, [node]);

describe('nodes', () => {
  it('are silent when they have not been heard of, and cared for by one at a time', async () => {
    await Promise.all(['n1', 'n2', 'n3'].map((node) => nodes.beat(system, node, 0)));
    expect(await nodes.takeSilent(system, 60_000)).toBeNull();
    await silence('n1');
    const taken = await Promise.all([1, 2, 3].map(() => nodes.takeSilent(system, 60_000)));
    expect(taken.filter(Boolean)).toEqual(['n1']);
    await nodes.forget(system, 'n1');
    expect(await ledger.sql('SELECT id FROM nodes ORDER BY id')).toEqual([{ id: 'n2' }, { id: 'n3' }]);
  });

  it('that live again are not silent any more', async () => {
    await nodes.beat(system, 'n1', 0);
    await silence('n1');
    await nodes.beat(system, 'n1', 0);
    expect(await nodes.takeSilent(system, 60_000)).toBeNull();
  });
});

describe('the end of a reply that its node has not said', () => {
  it.each([8, null])('is said for it, with the number it has (the log goes up to %s)', async (top) => {
    await nodes.beat(system, 'n1', 0);
    const { ref, run } = await finished(top);
    expect(await repair.ofNode('n1')).toBe(1);
    const [end, ...more] = await said(ref, 8);
    expect([end?.prev, end?.seq, more]).toEqual([8, 9, []]);
    const event = JSON.parse(end?.json ?? '') as unknown;
    expect(event).toMatchObject({
      type: 'REPLY_END',
      reply_id: run.reply_id,
      finished_reason: 'completed',
      error: null,
    });
    expect(await repair.ofNode('n1')).toBe(0);
  });

  it('comes with the withdrawal of a reply that was rolled back', async () => {
    await nodes.beat(system, 'n1', 0);
    const { ref, run } = await finished(8, true);
    await repair.ofNode('n1');
    const events = (await said(ref, 8)).map(({ seq, json }) => [seq, (JSON.parse(json) as { type: string }).type]);
    expect(events).toEqual([
      [9, 'REPLY_END'],
      [10, 'CUSTOM'],
    ]);
    expect((await said(ref, 9))[0]?.json).toContain(run.reply_id);
  });

  it('is left alone when it is in the log, the session is gone, or it was flushed long ago', async () => {
    await nodes.beat(system, 'n1', 0);
    const [there, gone, old] = [await finished(9), await finished(null), await finished(8)];
    await ledger.sessions.delete(alice, { id: gone.ref.session_id });
    await ledger.sql(`UPDATE runs SET ended_at = now() - interval '1 h' WHERE id = $1`, [old.run.run_id]);
    expect(await repair.ofNode('n1')).toBe(0);
    expect([await said(there.ref, 9), await log.top(gone.ref), await log.top(old.ref)]).toEqual([[], null, 8]);
    await nodes.beat(system, 'n1', 2 * 3600 * 1000);
    expect(await repair.ofNode('n1')).toBe(1);
    expect(await log.top(old.ref)).toBe(9);
  });

  it('and what a parked run asks for are said alike', async () => {
    await nodes.beat(system, 'n1', 0);
    const { session, run, held } = await ledger.working();
    const ref = { tenant_id: 'acme', session_id: session };
    const asked = JSON.stringify({ ...removal, name: 'asked', value: {} });
    await ledger.store.park(held, parkOf(run, 7, ['c1'], { ending: { token: 1, seq: 7, frames: frame(7, asked) } }));
    expect(await repair.ofNode('n1')).toBe(1);
    expect(await said(ref, 0)).toEqual([{ prev: 6, seq: 7, json: asked }]);
  });

  it('is said by whoever goes on with the session, before anything else', async () => {
    const { ref } = await finished(8);
    await repair.before(ref, 9);
    await repair.before(ref, 9);
    expect((await said(ref, 8)).map(({ seq }) => seq)).toEqual([9]);
  });

  it('is said behind a hole when the log has lost what came before, and not for a session that is gone', async () => {
    const { ref } = await finished(null);
    await repair.afterLoss(ref);
    await repair.afterLoss(ref);
    expect((await said(ref, 0)).map(({ prev, seq }) => [prev, seq])).toEqual([[8, 9]]);
    await ledger.sql('DELETE FROM session_leases');
    await log.remove(ref);
    await repair.afterLoss(ref);
    expect(await log.top(ref)).toBeNull();
  });

  it('is said once the log is there again', async () => {
    const { ref } = await finished(8);
    const away = jest.spyOn(log, 'top').mockRejectedValue(new Error('the log is away'));
    const telling = repair.afterLoss(ref);
    await delay(60);
    away.mockRestore();
    await telling;
    expect((await said(ref, 8)).map(({ seq }) => seq)).toEqual([9]);
  });
});
