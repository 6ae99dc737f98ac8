import { describe, expect, it } from '@jest/globals';
import { LocalEventLog } from '../events/local-event-log.js';
import { Drain } from './drain.js';
import { EventWriter } from './event-writer.js';
import { HeldSession } from './held-session.js';
import type { StretchResources } from './stretch.js';

const LEASE = { tenant_id: 't', session_id: 's', owner: 'n', token: 1 };

function open(handOver: () => Promise<boolean>) {
  const held = new HeldSession(LEASE, 60_000, performance.now());
  const log = new LocalEventLog({ max_entries: 10, ttl_seconds: 60 });
  const ignore = () => undefined;
  const heard = { onFenced: ignore, onLost: ignore, onError: ignore };
  const writer = new EventWriter(log, { lease: LEASE, seq: 0, prev: 0, verify: async () => true, ...heard });
  return { held, drain: new Drain({ store: { handOver } } as unknown as StretchResources, held, writer) };
}

describe('Drain: hand-over', () => {
  it('owes the log what was said once it is on record', async () => {
    const { held, drain } = open(async () => true);
    await drain.handOver(null);
    expect([drain.concluded, held.lost]).toEqual([true, false]);
  });

  it('owes nothing, and says nothing more, when somebody else holds the session', async () => {
    const { held, drain } = open(async () => false);
    await drain.handOver(null);
    expect([drain.concluded, held.lost]).toEqual([false, true]);
  });

  it('owes nothing when the lease ran out before it was on record', async () => {
    const { held, drain } = open(async () => {
      held.lose();
      throw Object.assign(new Error('the database is away'), { code: 'ECONNREFUSED' });
    });
    Object.assign(drain.resources, { logger: { error: () => undefined } });
    await drain.handOver(null);
    expect([drain.concluded, held.lost]).toEqual([false, true]);
  });
});
